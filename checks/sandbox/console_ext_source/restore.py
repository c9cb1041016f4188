"""Restore the newest readable full backup and the segments after it into a database of its own.

    python3 tools/restore.py --backups DIR --to FILE [--inspect]

Prints one JSON object. The live database is never touched. ``--inspect`` only reads the archives to their last byte.
Needs nothing but Python's standard library, so that it runs on the day when nothing else does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import sys
import time
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path


def read(archive: Path) -> str | None:
    """The text of an archive; ``None`` where it is cut off or doesn't end with the count of its rows."""
    try:
        text = gzip.decompress(archive.read_bytes()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return None
    return text if text.rstrip().rpartition("\n")[2].startswith("-- rows ") else None


def moment(archive: Path) -> str:
    """The time in an archive's name; such texts sort by time."""
    return archive.name.removesuffix(".sql.gz").rpartition("-")[2]


def later(archives: list[Path], full: Path) -> list[Path]:
    """The segments cut in the second of the full backup or after it, in order of time."""
    return [segment for segment in archives if moment(segment)[:15] >= moment(full)[:15]]


def begins(segment: str) -> str:
    """The moment from which a segment holds every change; its first line says so."""
    return segment.partition("\n")[0].removeprefix("-- from ")


def main() -> int:
    """Do what the command line asks; 1 where nothing could be restored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--backups", type=Path, required=True)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--inspect", action="store_true")
    asked = parser.parse_args()
    started = time.perf_counter()
    fulls = sorted((asked.backups / "daily").glob("*.sql.gz"), key=moment)
    segments = sorted((asked.backups / "segments").glob("*.sql.gz"), key=moment)
    if asked.inspect:
        newest = fulls[-1:]
        chain = newest + (later(segments, newest[0]) if newest else segments)
        unreadable = [archive.name for archive in chain if read(archive) is None]
        print(json.dumps({"inspected": len(chain), "unreadable": unreadable}))
        return 0 if newest else 1
    if asked.to is None:
        parser.error("--to is needed")
    full = next((archive for archive in reversed(fulls) if read(archive) is not None), None)
    if full is None:
        print(f"no readable full backup among {len(fulls)} in {asked.backups / 'daily'}", file=sys.stderr)
        return 1
    asked.to.unlink(missing_ok=True)
    applied, broken_at, covered = 0, None, moment(full)
    with closing(sqlite3.connect(asked.to)) as database:
        database.executescript(read(full) or "")
        for segment in later(segments, full):
            text = read(segment)
            if text is None or begins(text) > covered[:15]:
                broken_at = segment.name  # what is cut off or left out here would be missing from every later state
                break
            database.executescript(f"BEGIN;\n{text}\nCOMMIT;")
            applied, covered = applied + 1, moment(segment)
        sound = database.execute("PRAGMA integrity_check").fetchone()[0]
        rows = {
            table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - fixed names
            for table in ("customers", "users", "notifications")
        }
    answer = {
        "full": full.name,
        "segments": applied,
        "broken_at": broken_at,
        "integrity": sound,
        "covers_until": datetime.strptime(covered[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).isoformat(),
        "rows": rows,
        "seconds": round(time.perf_counter() - started, 3),
    }
    print(json.dumps(answer))
    return 0 if sound == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
