"""What a stand-in keeps on disk: rows, log lines, dumps, and the faults that are switched on."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def write_json(path: Path, value: object, *, mode: int = 0o644) -> None:
    """Write a JSON file that readers see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.touch(mode=mode)
    draft.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; of a file that is missing or broken, an empty one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def utc_text(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds, as the logs hold it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Database:
    """One SQLite database behind one lock; every thread of a stand-in may use it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        # A stand-in's rows may be lost with the machine; waiting for the disk fifty times a second may not be had.
        self._connection.executescript("PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;")

    def script(self, statements: str) -> None:
        """Execute several statements, such as ``CREATE TABLE IF NOT EXISTS …``."""
        with self._lock:
            self._connection.executescript(statements)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """The first column of the first row; ``None`` where there is no row."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def run(self, statement: str, *values: object) -> int:
        """Execute one statement; the id of the row it inserted, 0 where it inserted none."""
        with self._lock:
            return self._connection.execute(statement, values).lastrowid or 0

    def many(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Execute one statement for many rows, all or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, [tuple(row) for row in rows])
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; the file stays."""
        with self._lock:
            self._connection.close()


class JsonLog:
    """A log of JSON lines (``ts``, ``level``, ``message`` and any field) that turns over at a bound.

    Args:
        path: the file; when it reaches `bound` it becomes ``<name>.1`` (then ``.2`` … up to `keep`) and a new one begins.
        bound: size in bytes at which it turns over.
        keep: how many turned-over files stay.
        quiet_for: seconds for which an exact repetition of a warning or error is counted instead of written; the
            next line that is written says how many there were. 0: every line is written.

    """

    def __init__(self, path: Path, *, bound: int = 16_000_000, keep: int = 2, quiet_for: float = 0.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.bound = bound
        self.keep = keep
        self.quiet_for = quiet_for
        self._lock = threading.Lock()
        self._repeats: dict[tuple[str, str], tuple[float, int]] = {}
        self._file = path.open("a", encoding="utf-8")

    def write(self, level: str, message: str, **fields: object) -> None:
        """Append one line, stamped with the time now."""
        with self._lock:
            if self.quiet_for and level not in ("DEBUG", "INFO"):
                last, held_back = self._repeats.get((level, message), (float("-inf"), 0))
                if time.monotonic() - last < self.quiet_for:
                    self._repeats[level, message] = (last, held_back + 1)
                    return
                self._repeats[level, message] = (time.monotonic(), 0)
                if held_back:
                    fields["repeated"] = held_back
            line = {"ts": utc_text(datetime.now(UTC)), "level": level, "message": message, **fields}
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._file.flush()
            if self._file.tell() >= self.bound:
                self._turn_over()

    def info(self, message: str, **fields: object) -> None:
        """Append a line of level INFO."""
        self.write("INFO", message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        """Append a line of level WARNING."""
        self.write("WARNING", message, **fields)

    def error(self, message: str, **fields: object) -> None:
        """Append a line of level ERROR."""
        self.write("ERROR", message, **fields)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        for number in range(self.keep, 0, -1):
            older = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number}"))
        self._file = self.path.open("a", encoding="utf-8")


class Faults:
    """The faults of one system that are on, kept in a file so that a stopped system can be broken too."""

    def __init__(self, path: Path, *, look_every: float = 0.2) -> None:
        self.path = path
        self._look_every = look_every
        self._looked_at = float("-inf")
        self._on: frozenset[str] = frozenset()

    def __contains__(self, fault: str) -> bool:
        return fault in self.on()

    def on(self) -> frozenset[str]:
        """The names of the faults that are on, at most `look_every` seconds old."""
        if time.monotonic() - self._looked_at >= self._look_every:
            self._on = frozenset(read_json(self.path))
            self._looked_at = time.monotonic()
        return self._on

    def since(self) -> Mapping[str, str]:
        """Each fault that is on, and when it was switched on (RFC 3339)."""
        return {name: str(moment) for name, moment in read_json(self.path).items()}

    def add(self, fault: str) -> None:
        """Switch a fault on; one that is on stays on since when it was."""
        write_json(self.path, {fault: utc_text(datetime.now(UTC)), **read_json(self.path)})
        self._looked_at = float("-inf")

    def remove(self, fault: str | None = None) -> None:
        """Switch one fault off, or all."""
        left = {name: moment for name, moment in read_json(self.path).items() if fault is not None and name != fault}
        write_json(self.path, left)
        self._looked_at = float("-inf")


@dataclass(frozen=True, slots=True)
class Job:
    """Something a stand-in does again and again in its own thread, such as a dump.

    Attributes:
        every: seconds between the end of one time and the start of the next.
        at_start: whether the first time is before the system counts as ready.

    """

    name: str
    every: float
    run: Callable[[], object]
    at_start: bool = True


def dump(database: Path, folder: Path, *, name: str, keep: int = 5, break_off_at: int | None = None) -> Path:
    """Dump a database into ``<folder>/<name>-<time>.sql.gz`` and remove the oldest dumps beyond `keep`.

    The last line of the dump is a comment that holds each table's number of rows, for a restore to be compared with:
    ``-- rows {"users": 6000}``.

    Args:
        database: the SQLite file; it is only read.
        folder: where dumps are kept; created where it does not exist.
        name: what the dump's name begins with.
        keep: how many dumps stay.
        break_off_at: break off after that many compressed bytes, as a full disk would; the file that is left is cut short.

    Returns:
        The dump's path.

    """
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{name}-{moment}.sql.gz"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as source:
        source.execute("BEGIN")  # one snapshot for the rows and for their number
        text = "\n".join(source.iterdump())
        tables = [
            row[0] for row in source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        ]
        counts = {table: source.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in sorted(tables)}  # noqa: S608 - own names
    packed = gzip.compress(f"{text}\n-- rows {json.dumps(counts)}\n".encode(), compresslevel=1)
    if break_off_at is None:
        draft = target.with_name(f".{target.name}.part")
        draft.write_bytes(packed)
        draft.replace(target)
    else:
        target.write_bytes(packed[:break_off_at])
    for old in sorted(folder.glob(f"{name}-*.sql.gz"))[:-keep]:
        old.unlink(missing_ok=True)
    return target
