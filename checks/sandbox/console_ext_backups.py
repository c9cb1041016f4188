"""Console.ext's backups: full dumps, segments of what changed since, and monthly archives, each really written."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.console_ext_store import TABLES, Ledger
from checks.sandbox.kit import dump, utc_text

DAYS_KEPT = 30
MONTHS_KEPT = 12
_FULLS_OF_TODAY = 3
_OVERLAP = timedelta(seconds=5)  # rows whose change was stamped before the last cut but committed after it


class Backups:
    """What is written below one folder: ``daily/``, ``segments/`` and ``monthly/``.

    Args:
        ledger: the live database.
        folder: where the three folders are kept.

    """

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self.daily = folder / "daily"
        self.segments = folder / "segments"
        self.monthly = folder / "monthly"
        for part in (self.daily, self.segments, self.monthly):
            part.mkdir(parents=True, exist_ok=True)
        self._cut_at = datetime.now(UTC) - timedelta(minutes=1)

    def full(self, *, break_off_at: int | None = None) -> Path:
        """Dump the whole live database; then remove what is no longer to be kept."""
        self._ledger.prune()
        written = dump(self._ledger.path, self.daily, name="console-ext", keep=10_000, break_off_at=break_off_at)
        self._expire(datetime.now(UTC))
        return written

    def segment(self, *, break_off_at: int | None = None) -> Path:
        """Write the rows that changed since the last segment, as statements that bring a full backup up to now."""
        now = datetime.now(UTC)
        since = utc_text(self._cut_at - _OVERLAP)
        lines, counts = [], {}
        with closing(sqlite3.connect(f"file:{self._ledger.path}?mode=ro", uri=True, timeout=10)) as source:
            source.execute("BEGIN")  # one snapshot for all tables
            for table in TABLES:
                columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
                quoted = " || ',' || ".join(f"quote({column})" for column in columns)
                query = f"SELECT {quoted} FROM {table} WHERE updated_at >= ?"  # noqa: S608 - own names
                rows = [row[0] for row in source.execute(query, (since,))]
                lines += [f"INSERT OR REPLACE INTO {table} VALUES ({row});" for row in rows]  # noqa: S608 - quoted by SQLite
                counts[table] = len(rows)
        stamp = f"{now:%Y%m%dT%H%M%S.%fZ}"
        target = self.segments / f"segment-{stamp}.sql.gz"
        begin = f"-- from {self._cut_at - _OVERLAP:%Y%m%dT%H%M%S}"
        packed = gzip.compress("\n".join([begin, *lines, f"-- rows {json.dumps(counts)}\n"]).encode(), compresslevel=1)
        draft = target.with_name(f".{target.name}.part")
        draft.write_bytes(packed[:break_off_at])
        draft.replace(target)
        self._cut_at = now
        return target

    def replay(self, now: datetime) -> None:
        """Write the full backups and archives of the days before the first start, and of those when it was off.

        Each is a real dump of the rows that existed on its day, and is dated to it.
        """
        days = {path.name.rpartition("-")[2][:8] for path in self.daily.glob("*.sql.gz")}
        for back in range(1, DAYS_KEPT):
            at = now - timedelta(days=back)
            if at.strftime("%Y%m%d") not in days:
                self._as_of(at, self.daily)
        months = {path.name.rpartition("-")[2][:6] for path in self.monthly.glob("*.sql.gz")}
        for back in range(MONTHS_KEPT):
            at = _first_of_month(now, back)
            if at.strftime("%Y%m") not in months:
                self._as_of(at, self.monthly)
        self._expire(now)

    def _as_of(self, at: datetime, folder: Path) -> None:
        work = folder / ".as-of"
        work.mkdir(exist_ok=True)
        copy = work / "copy.db"
        with closing(sqlite3.connect(self._ledger.path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            for table in reversed(TABLES):
                target.execute(f"DELETE FROM {table} WHERE created_at > ?", (utc_text(at),))  # noqa: S608 - own names
            target.commit()
        written = dump(copy, work, name="console-ext")
        final = folder / f"console-ext-{at:%Y%m%dT%H%M%SZ}.sql.gz"
        os.utime(written, (at.timestamp(), at.timestamp()))
        written.replace(final)
        shutil.rmtree(work)

    def _expire(self, now: datetime) -> None:
        """Keep the newest full backup of each of 30 days and the last ones of today, a year of archives, some segments."""
        fulls = sorted(self.daily.glob("*.sql.gz"))
        newest_of_day = {path.name.rpartition("-")[2][:8]: path for path in fulls}
        oldest_day = (now - timedelta(days=DAYS_KEPT)).strftime("%Y%m%d")
        keep = {path for day, path in newest_of_day.items() if day >= oldest_day} | set(fulls[-_FULLS_OF_TODAY:])
        archives = sorted(self.monthly.glob("*.sql.gz"))
        since = fulls[-_FULLS_OF_TODAY:][0].name.rpartition("-")[2][:15] if fulls else ""
        segments = sorted(self.segments.glob("*.sql.gz"))
        outdated = [path for path in segments[:-1] if path.name.removeprefix("segment-")[:15] < since]
        for path in [*(path for path in fulls if path not in keep), *archives[:-MONTHS_KEPT], *outdated]:
            path.unlink(missing_ok=True)


def _first_of_month(now: datetime, months_back: int) -> datetime:
    month = now.year * 12 + now.month - 1 - months_back
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
