"""The first journal: runs and their ends, results, series and observations, events, slots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Word = sa.String(16)


def upgrade() -> None:
    """Make every table in an empty database."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("trigger", _Word, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
    )
    op.create_index("runs_of_a_runbook", "runs", ["environment", "runbook", "started_at", "id"])
    op.create_index("runs_by_time", "runs", ["started_at", "id"])
    op.create_table(
        "run_ends",
        sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("state", _Word, nullable=False),
        sa.Column("status", _Word, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text),
    )
    op.create_table(
        "series",
        sa.Column("id", _Key, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.UniqueConstraint("environment", "system", "metric", name="series_named_once"),
    )
    op.create_table(
        "results",
        sa.Column("id", _Key, primary_key=True),
        sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("series", _Key, sa.ForeignKey("series.id"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("status", _Word, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("judged_at", sa.BigInteger, nullable=False),
        sa.Column("measured_at", sa.BigInteger),
        sa.Column("value", sa.Double),
        sa.Column("unit", sa.Text),
        sa.Column("took", sa.Double),
        sa.Column("source", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("warning", sa.Text),
        sa.Column("critical", sa.Text),
        sa.Column("cell", sa.Integer),
        sa.Column("step", sa.Integer),
    )
    op.create_index("results_of_a_run", "results", ["run_id", "id"])
    op.create_index("results_by_time", "results", ["series", "judged_at", "id"])
    op.create_index("results_by_status", "results", ["series", "status", "judged_at"])
    op.create_table(
        "observations",
        sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
        sa.Column("ts", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("id", _Key, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("events_by_subject", "events", ["subject", "at"])
    op.create_index("events_by_time", "events", ["at", "id"])
    op.create_table(
        "slots",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("runbook", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
    )
