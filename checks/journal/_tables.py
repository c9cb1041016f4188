"""The journal's tables. A change here needs a migration; a test compares the two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

import sqlalchemy as sa

from checks.model import RunState, Status, Trigger

HEAD = "0006"
"""The schema that this Proofbook writes; the last migration's number."""

KNOWN = frozenset({"0001", "0002", "0003", "0004", "0005", HEAD})
"""Every schema that this Proofbook can bring up to date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

E = TypeVar("E", bound=Enum)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z; exact, where a float of seconds would not be."""
    if moment.tzinfo is None:
        raise ValueError(f"expected an aware datetime, found {moment!r}")
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def from_micros(micros: int) -> datetime:
    """The moment in UTC that `to_micros` wrote."""
    return _EPOCH + timedelta(0, 0, micros)


def _read(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(0, 0, micros)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970 in UTC: the same order and precision in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002  SQLAlchemy's signature
        """Refuse a naive datetime, write any other in UTC."""
        return None if value is None else to_micros(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002  as above
        """Read it back, aware and in UTC."""
        # Not `process_result_value`, which is called by a function that is called for each value.
        return _read


def _words(kind: type[E]) -> sa.Enum:
    """An Enum kept as its value; unchecked by the database, so that a new word needs no rebuilt table."""
    return sa.Enum(kind, native_enum=False, create_constraint=False, length=16, values_callable=lambda k: [m.value for m in k])


_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up by itself in an INTEGER key only

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("runbook", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("trigger", _words(Trigger), nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("made_with", sa.JSON(none_as_null=True)),
    sa.Column("basis", sa.JSON(none_as_null=True)),
    sa.Index("runs_of_a_runbook", "environment", "runbook", "started_at", "id"),
    sa.Index("runs_by_time", "started_at", "id"),
)

# The end of a run is a row of its own: nothing that was written is ever changed, and its key refuses a second end.
run_ends = sa.Table(
    "run_ends",
    metadata,
    sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("state", _words(RunState), nullable=False),
    sa.Column("status", _words(Status), nullable=False),
    sa.Column("ended_at", Moment, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text),
    sa.Column("redacted", sa.Integer),
)

# Who is at work on a run: renewed while they live, gone when the run has ended. With it goes the right to write that end.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("slot_due_at", Moment),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.UniqueConstraint("environment", "system", "metric", name="series_named_once"),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id")),  # NULL: judged between runs
    sa.Column("series", _Key, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("status", _words(Status), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("judged_at", Moment, nullable=False),
    sa.Column("measured_at", Moment),
    sa.Column("value", sa.Double),
    sa.Column("unit", sa.Text),
    sa.Column("took", sa.Double),
    sa.Column("source", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("warning", sa.Text),
    sa.Column("critical", sa.Text),
    sa.Column("cell", sa.Integer),
    sa.Column("step", sa.Integer),
    sa.Column("samples", sa.BigInteger),
    sa.Column("baseline", sa.JSON(none_as_null=True)),
    sa.Column("seal", sa.BigInteger, nullable=False, server_default="0"),  # 0: none; see _seals
    sa.Index("results_of_a_run", "run_id", "id"),
    sa.Index("results_by_time", "series", "judged_at", "id"),
)

observations = sa.Table(
    "observations",
    metadata,
    sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
    sa.Column("ts", Moment, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("status", _words(Status)),  # of a value that was judged without a result of its own
    sqlite_with_rowid=False,
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, server_default=sa.text("''")),  # of this event and the one before
    sa.Index("events_by_subject", "subject", "at"),
    sa.Index("events_by_time", "at", "id"),
    sa.Index("events_by_kind", "kind", "id"),
)

# How many events there are, and the digest of the last one: where the chain ends.
heads = sa.Table(
    "heads",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

# How many values an hour of a series has, and the sum of their seals. Microseconds since 1970, as nobody asks for moments.
seals = sa.Table(
    "seals",
    metadata,
    sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

slots = sa.Table(
    "slots",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("runbook", sa.Text, primary_key=True),
    sa.Column("due_at", Moment, primary_key=True),
    sa.Column("claimed_at", Moment, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("token", sa.Integer, nullable=False, server_default="1"),
    sa.Column("expires_at", Moment),
    # In PostgreSQL it is a partial one, too; saying so here would load that dialect, and all its drivers, for every journal.
    sa.Index("slots_held", "expires_at", sqlite_where=sa.text("expires_at IS NOT NULL")),
)

# What follows is no fact: it is drawn from the tables above, kept in the same transaction as they are, and can be made anew
# from them at any time. It is there so that no question has to read a history to be answered. It has no references: who writes
# it has just written, or holds, what it is drawn from, and looking that up once more for each row is a good part of writing it.

latest = sa.Table(
    "latest",
    metadata,
    sa.Column("series", _Key, primary_key=True, autoincrement=False),
    sa.Column("result", _Key, nullable=False),
    sa.Column("judged_at", Moment, nullable=False),
    sa.Column("status", _words(Status), nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    *(sa.Column(f"last_{status.value}", Moment) for status in Status),
    sa.Column("warning", sa.Text),
    sa.Column("critical", sa.Text),
    sa.Column("runbook", sa.Text),
    # The whole result once more, as its seal covers it: what is asked most reads one small table, and few columns of it.
    sa.Column("told", sa.Text),
)

status_changes = sa.Table(
    "status_changes",
    metadata,
    sa.Column("series", _Key, primary_key=True, autoincrement=False),
    sa.Column("judged_at", Moment, primary_key=True),
    sa.Column("result", _Key, primary_key=True, autoincrement=False),
    sa.Column("status", _words(Status), nullable=False),
    sa.Column("before", _words(Status)),
    sa.Index("status_changes_by_time", "judged_at", "result"),
    sqlite_with_rowid=False,
)

limit_changes = sa.Table(
    "limit_changes",
    metadata,
    sa.Column("series", _Key, primary_key=True, autoincrement=False),
    sa.Column("judged_at", Moment, primary_key=True),
    sa.Column("result", _Key, primary_key=True, autoincrement=False),
    sa.Column("warning", sa.Text),
    sa.Column("critical", sa.Text),
    sqlite_with_rowid=False,
)

# Days are counted from 1970-01-01 in UTC.
series_days = sa.Table(
    "series_days",
    metadata,
    sa.Column("series", _Key, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(status.value, sa.BigInteger, nullable=False) for status in Status),
    sqlite_with_rowid=False,
)

unfinished_days = sa.Table(
    "unfinished_days",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

WIDTHS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=12))
"""How long the stretches are that observations are summed up in; each begins at a multiple of its width since 1970."""

stretches = sa.Table(
    "stretches",
    metadata,
    sa.Column("series", _Key, primary_key=True, autoincrement=False),
    sa.Column("width", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("start", Moment, primary_key=True),
    sa.Column("unit", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("low", sa.Double, nullable=False),
    sa.Column("high", sa.Double, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
    sa.Column("last", Moment, nullable=False),
    sqlite_with_rowid=False,
)

DERIVED = (stretches, unfinished_days, series_days, limit_changes, status_changes, latest)
"""The tables that can be made anew."""

# A sign of life is neither a fact nor derived: it is written over, and says nothing about yesterday.
signs = sa.Table(
    "signs",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("until", Moment, nullable=False),
)
