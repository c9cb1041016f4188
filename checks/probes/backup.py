"""The newest backup: how old and how large it is, how much it shrank, and what is really in it."""

from __future__ import annotations

import dataclasses
import glob
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._dump_rows import Rows
from checks.probes._dumps import Kind, NotWhole, Reading, told, unpacked
from checks.probes._poured import ProgramMissing
from checks.probes._restores import PostgresqlScratch, ScratchUnfit, restored_by_sqlite, rows_of_archive
from checks.probes._steps import note
from checks.probes._support import Measuring, within

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import BackupProbe

_READ_CAP = 100_000_000_000
_RESTORE_CAP = 10_000_000_000
# A file written after `now` was taken is new, not from the future; beyond this one of the clocks is wrong.
_CLOCK_SLACK = 60.0
# One that is broken off may still be written; beyond this it no longer is.
_WRITING = 60.0
# Removing a scratch database may take this long after the deadline.
_AFTER = 12.0
_FIRST_SETTING = re.compile(r"\{[a-z_][a-z0-9_]*\}")


@dataclass(frozen=True, slots=True)
class _Backup:
    """One file that matches, its links followed; `written` is in seconds since 1970."""

    path: Path
    size: int
    written: float


def probe(declaration: BackupProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Look at the newest backup, read it or restore it; see `BackupProbe`."""
    del unit
    scratch = settled.fill(declaration.scratch) if declaration.scratch else None
    measuring = Measuring(now, f"{declaration.measure} of {settled.fill(declaration.path)}", settled)
    seconds = declaration.timeout.total_seconds()
    ends = time.monotonic() + seconds
    try:
        return within(seconds + _AFTER, lambda: _measure(declaration, settled, scratch, ends, measuring))
    except TimeoutError:
        return measuring.late(seconds)
    except (NotWhole, ScratchUnfit, ProgramMissing) as error:
        return measuring.failed(str(error))
    except OSError as error:
        return measuring.failed(f"{error.filename or settled.fill(declaration.path)}: {error.strerror or error}")


def _measure(
    declaration: BackupProbe, settled: Settled, scratch: str | None, ends: float, measuring: Measuring
) -> Observation | Unmeasured:
    backups = _newest_first(declaration.path, settled)
    newest, named = backups[0], backups[0].path.name
    note(f"{len(backups)} backups match; {named} is the newest, {format_value(newest.size, 'B')}")
    age = measuring.now.timestamp() - newest.written
    if age < -_CLOCK_SLACK:
        return measuring.failed(f"{named} was written {format_value(-age, 's')} in the future; one of the clocks is wrong")
    old = f"{named}, {format_value(max(round(age), 0), 's')} old"
    match declaration.measure:
        case "size":
            return measuring.gave(newest.size, "B", old)
        case "shrinkage":
            return _shrinkage(declaration, backups, old, measuring)
        case "age":
            if not newest.size:
                raise NotWhole(f"{named} has no byte, so it is no backup")
            return measuring.gave(max(age, 0.0), "s", f"{named}, {format_value(newest.size, 'B')}")
        case "bytes" | "rows" | "restored":
            try:
                return _read(declaration, newest, scratch, ends, old, measuring)
            except NotWhole as error:
                writing = "; it may still be written" if age < _WRITING else ""
                raise NotWhole(f"{old}: {error}{writing}") from error
        case _:
            assert_never(declaration.measure)


def _shrinkage(declaration: BackupProbe, backups: list[_Backup], old: str, measuring: Measuring) -> Observation | Unmeasured:
    previous = [backup.size for backup in backups[1 : declaration.previous + 1]]
    if len(previous) < declaration.needs:
        return measuring.failed(f"only {len(previous)} backups before {old}, and {declaration.needs} are needed")
    median = statistics.median(previous)
    if not median:
        return measuring.failed(f"the backups before {old} have no byte, so nothing can have shrunk")
    detail = f"{old}: {format_value(backups[0].size, 'B')}, {format_value(median, 'B')} the median of {len(previous)} before"
    return measuring.gave(100 * (1 - backups[0].size / median), "%", detail, samples=len(previous))


def _read(
    declaration: BackupProbe, newest: _Backup, scratch: str | None, ends: float, old: str, measuring: Measuring
) -> Observation | Unmeasured:
    reading = Reading(_RESTORE_CAP if declaration.measure == "restored" else _READ_CAP, ends)
    kind, chunks = told(unpacked(newest.path, reading))
    note(f"it is {kind.value}")
    if declaration.measure == "bytes":
        _read_to_the_end(kind, chunks, ends)
        return measuring.gave(reading.read, "B", f"{old}, {kind.value}")
    if kind in (Kind.OTHER, Kind.MYSQL) and (kind is Kind.OTHER or declaration.measure == "restored"):
        raise NotWhole(f"it is {kind.value}, so it cannot be {'restored' if declaration.measure == 'restored' else 'counted'}")
    sqlite = kind in (Kind.SQLITE, Kind.SQLITE_DATABASE)
    if kind is Kind.SQLITE_DATABASE or (sqlite and declaration.measure == "restored"):
        rows = restored_by_sqlite(kind, chunks, declaration.table, ends)
    elif declaration.measure == "restored":
        if scratch is None:
            raise NotWhole(f"it is {kind.value}, and no `scratch:` names a server to restore it on")
        rows = PostgresqlScratch(scratch, ends).restored(kind, chunks, declaration.table)
    elif kind is Kind.POSTGRESQL_ARCHIVE:
        rows = rows_of_archive(chunks, declaration.table, ends)
    else:
        rows = Rows(kind, declaration.table).count(chunks)
    of = f" in {declaration.table}" if declaration.table else ""
    return measuring.gave(rows, "", f"{old}: {rows:,} rows{of}, {format_value(reading.read, 'B')} unpacked")


def _read_to_the_end(kind: Kind, chunks: Iterator[bytes], ends: float) -> None:
    """Read all of it; of a dump of a kind that is known, its last words too."""
    if kind is Kind.POSTGRESQL_ARCHIVE:
        rows_of_archive(chunks, None, ends)
    elif kind in (Kind.OTHER, Kind.SQLITE_DATABASE):
        for _ in chunks:
            pass
    else:
        Rows(kind, None).count(chunks)


def _newest_first(declared: str, settled: Settled) -> list[_Backup]:
    """The backups that match, each file once, the newest first.

    Raises:
        NotWhole: none matches, or the newest is a link that leads out of the folder.
        OSError: the folder cannot be listed.

    """
    first = _FIRST_SETTING.match(declared)
    assert first is not None  # noqa: S101 - the declaration begins with a setting
    root, rest = Path(settled.fill(first.group())), declared[first.end() :].lstrip("/")
    # A setting is a place, not a pattern: its brackets and stars stand for themselves.
    escaped = {name: glob.escape(value) for name, value in settled.values.items()}
    pattern = dataclasses.replace(settled, values=escaped).fill(rest) if rest else glob.escape(root.name)
    root = root if rest else root.parent
    if ".." in pattern.split("/"):
        raise NotWhole(f"{settled.fill(declared)} leads out of {root}")
    inside = root.resolve(strict=True)
    with_links: list[tuple[float, str, Path, Path]] = []
    list(inside.iterdir())  # glob takes a folder that may not be read for an empty one
    for name in glob.iglob(pattern, root_dir=inside, recursive=True):  # noqa: PTH207 - pathlib has no root_dir
        path = inside / name
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # pruned between listing and looking, or a link to nothing
        if path.is_file():
            with_links.append((status.st_mtime, name, path, path.resolve()))
    if not with_links:
        raise NotWhole(f"no file matches {settled.fill(declared)}, so there is no backup")
    with_links.sort(reverse=True)
    _, name, _, target = with_links[0]
    if not target.is_relative_to(inside):
        raise NotWhole(f"{name}, the newest that matches, is a link that leads out of {inside}, so it is no backup there")
    # An alias such as latest.sql.gz is not another backup.
    real = dict.fromkeys(target for *_, target in with_links if target.is_relative_to(inside))
    return [_Backup(target, target.stat().st_size, target.stat().st_mtime) for target in real]
