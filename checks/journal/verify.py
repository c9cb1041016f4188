"""Is the journal still what was written? Reads all of it and says where it is not.

Read in portions, so that writers go on meanwhile; what is appended while it reads is left for the next time.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from checks.errors import DataError
from checks.journal import _rows, _seals
from checks.journal import _tables as t
from checks.journal._engine import asked, reading
from checks.journal._rebuild import differing
from checks.journal._seal_older import hours, names_of, portions

PRUNED = "journal-pruned"
"""The kind of event that says which runs were taken out on purpose."""

Evidence = Callable[[str], bytes | None]

_AT_ONCE = 500
_CALLED = ("kind", "at", "subject", "actor", "detail", "digest")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not what was written.

    Attributes:
        where: which event, run, result, hour, file.
        what: what is wrong with it.

    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Noted:
    """The chain's head as somebody noted it: so many events, and the digest of the last of them."""

    number: int
    digest: str


@dataclass(slots=True)
class Verified:
    """What was read, and what was found.

    Attributes:
        number: how many events the chain has.
        head: the digest of the last one.
        unsealed: runs of before there were seals; their results have some.
        elsewhere: evidence of other machines' runs that is not here.

    """

    number: int = 0
    head: str = ""
    runs: int = 0
    results: int = 0
    observations: int = 0
    evidence: int = 0
    unsealed: int = 0
    elsewhere: int = 0
    findings: list[Finding] = field(default_factory=list)

    def found(self, where: str, what: str) -> None:
        """Note something."""
        self.findings.append(Finding(where, what))


def verify(engine: sa.Engine, evidence: Evidence | None, noted: Noted | None = None) -> Verified:
    """Read everything and compare it with its seals.

    Args:
        engine: the journal's database.
        evidence: gives a run's evidence by its digest, or ``None`` where it is not there; without it, none is looked at.
        noted: a head of the chain from another time; the chain must still run through it.

    """
    told = Verified()
    with _damage(told, "the database"):
        _database(engine, told)
    ended: dict[str, datetime] = {}
    with _damage(told, "the events"):
        ended = _chain(engine, told, noted)
    with _damage(told, "the runs"):
        _runs(engine, told, ended, evidence)
    with _damage(told, "the results"):
        _results(engine, told)
    with _damage(told, "the observations"):
        _observations(engine, told)
    with _damage(told, "what is derived"):
        for table, number in differing(engine):
            told.found(
                f"the table {table}", f"{number} rows are not what the facts say; proofbook journal rebuild draws them anew"
            )
    return told


@contextmanager
def _damage(told: Verified, part: str) -> Iterator[None]:
    """Go on with the next part where the database cannot even read one."""
    try:
        yield
    except DataError as error:
        told.found(part, f"cannot be read: {error.found}")


def _database(engine: sa.Engine, told: Verified) -> None:
    if engine.dialect.name != "sqlite":
        return  # PostgreSQL checks its pages by itself as they are read, where its checksums are on
    with reading(engine) as connection:
        for (said,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
            if said != "ok":
                told.found("the file", str(said))
        for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            told.found(f"the table {table}", f"row {row} points at a row of {parent} that is not there")


def _chain(engine: sa.Engine, told: Verified, noted: Noted | None) -> dict[str, datetime]:
    """Follow the chain; the runs whose end it notes and that nobody took out on purpose, and when each ended."""
    (head,) = asked(engine, sa.select(t.heads.c.number, t.heads.c.digest).where(t.heads.c.name == _seals.EVENTS)) or [(0, "")]
    ended: dict[str, datetime] = {}
    before, last = "", 0
    for row in _all(engine, t.events, _CALLED):
        told.number += 1
        if _seals.of_event(before, row.kind, row.at, row.subject, row.actor, row.detail) != row.digest:
            told.found(f"event {row.id}, {row.kind} of {row.subject} at {_time(row.at)}", _broken(last, row.id))
        before, last = row.digest, row.id
        if noted is not None and told.number == noted.number and not row.digest.startswith(noted.digest):
            told.found(
                f"event {row.id}, number {told.number} of the chain",
                f"its digest was {noted.digest} when it was noted, and is {row.digest}",
            )
        if row.kind == "run-ended":
            ended[row.subject] = row.at
        elif row.kind == PRUNED:
            until = str(row.detail.get("before"))
            ended = {run: at for run, at in ended.items() if at.isoformat() >= until}
        if told.number == head[0] and row.digest != head[1]:
            told.found("the head of the chain", f"it names another event than number {told.number}, which is event {row.id}")
    told.head = before
    if told.number < head[0] and before != head[1]:
        told.found("the end of the chain", f"{head[0] - told.number} of {head[0]} events were taken out after event {last}")
    if noted is not None and told.number < noted.number:
        told.found("the end of the chain", f"it had {noted.number} events when its head was noted, and has {told.number}")
    return ended


def _broken(last: int, here: int) -> str:
    if here - last > 1:
        missing = f"event {last + 1}" if here - last == 2 else f"events {last + 1} to {here - 1}"
        return f"it does not follow event {last}: {missing} was taken out before it, or it was changed itself"
    return "it was changed since it was written" if last else "it was changed, or what came before it was taken out"


def _runs(engine: sa.Engine, told: Verified, ended: dict[str, datetime], evidence: Evidence | None) -> None:
    last, host = "", socket.gethostname()
    starts, ends = t.runs.c, t.run_ends.c
    query = sa.select(*_rows.RUN_COLUMNS).select_from(t.runs.outerjoin(t.run_ends, ends.run_id == starts.id)).order_by(starts.id)
    while rows := asked(engine, query.where(starts.id > last).limit(_AT_ONCE)):
        last = rows[-1].id
        ids = [row.id for row in rows]
        of = sa.select(t.results.c.run_id, t.results.c.seal).where(t.results.c.run_id.in_(ids)).order_by(t.results.c.id)
        seals: dict[str, list[int]] = {}
        for run, seal in asked(engine, of):
            seals.setdefault(run, []).append(seal)
        note = sa.select(t.events.c.subject, t.events.c.detail).where(t.events.c.subject.in_(ids), t.events.c.kind == "run-ended")
        noted = {subject: detail.get("seal") for subject, detail in asked(engine, note)}
        for row in rows:
            told.runs += 1
            ended.pop(row.id, None)
            where = f"run {row.id} of {row.runbook} at {_time(row.started_at)}"
            if row.state is None and row.id in noted:
                told.found(where, "an event notes its end, and its end is gone")
            elif row.state is not None and row.id not in noted:
                told.found(where, "no event notes its end")
            elif row.state is not None and not noted[row.id]:
                told.unsealed += 1
            elif row.state is not None and _seals.of_run(row, row, seals.get(row.id, ())) != noted[row.id]:
                told.found(where, "its beginning, its end or the list of its results is not what was written")
            if row.evidence and evidence is not None:
                _evidence(told, row, evidence(row.evidence), where, host)
    for run, at in ended.items():
        told.found(f"run {run}", f"it ended at {_time(at)}, and was taken out since")


def _evidence(told: Verified, row: sa.Row[Any], data: bytes | None, where: str, host: str) -> None:
    if data is None:
        if row.host == host:
            told.found(where, f"its evidence {row.evidence} is missing")
        else:
            told.elsewhere += 1
    elif hashlib.sha256(data).hexdigest() != row.evidence:
        told.found(where, f"its evidence {row.evidence} has other bytes than it had")
    else:
        told.evidence += 1


def _results(engine: sa.Engine, told: Verified) -> None:
    with reading(engine) as connection:
        names = names_of(connection)
    for row in _all(engine, t.results, (*_seals.SEALED, "seal")):
        told.results += 1
        named = names.get(row.series) or ("", "", f"a series {row.series} that is not known")
        if _seals.of_row(named, row) != row.seal:
            run = f" in run {row.run_id}" if row.run_id else ""
            seen = "no value" if row.value is None else f"{row.value:g} {row.unit}"
            told.found(
                f"result {row.id} of {named[1]}/{named[2]}{run}, judged at {_time(row.judged_at)}",
                f"it is not what was written; now it says {row.status.value}, {seen}",
            )


def _observations(engine: sa.Engine, told: Verified) -> None:
    with reading(engine) as connection:
        names = names_of(connection)
    for series, (environment, system, metric) in names.items():
        sealed = sa.select(t.seals.c.start, t.seals.c.number, t.seals.c.total).where(t.seals.c.series == series)
        with reading(engine) as connection:
            known = {start: (number, total) for start, number, total in connection.execute(sealed)}
            now = {hour["start"]: (hour["number"], hour["total"]) for hour in hours(connection, series)}
        told.observations += sum(number for number, _ in now.values())
        for start in sorted(start for start in known.keys() | now.keys() if known.get(start) != now.get(start)):
            (was, _), (found, _) = known.get(start, (0, 0)), now.get(start, (0, 0))
            where = f"{system}/{metric} in {environment}, the hour from {_time(t.from_micros(start))}"
            what = f"there are {found} values, and {was} were written" if was != found else _which(engine, series, start, found)
            told.found(where, what)


def _which(engine: sa.Engine, series: int, start: int, number: int) -> str:
    """Which value of an hour was changed, as far as a result has kept it too."""
    seen, told = t.observations.c, t.results.c
    both = sa.select(seen.ts, seen.value, told.value).join_from(
        t.observations, t.results, (told.series == seen.series) & (told.measured_at == seen.ts)
    )
    since, until = t.from_micros(start), t.from_micros(start + _seals.HOUR)
    of = both.where(told.series == series, told.judged_at >= since, seen.ts >= since, seen.ts < until, seen.value != told.value)
    rows = asked(engine, of.limit(1))
    if rows:
        at, found, was = rows[0]
        return f"the value of {at:%H:%M:%S} is {found!r}, and its result says {was!r}"
    return f"of its {number} values at least one is not what was written"


def _all(engine: sa.Engine, table: sa.Table, names: tuple[str, ...]) -> Iterator[Any]:
    """Every row of a table by its id, each portion in a transaction of its own."""
    for some in portions(lambda query: asked(engine, query), table, names):
        yield from some


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
