"""The newest file of some: its age, its size, or how many there are."""

from __future__ import annotations

import dataclasses
import glob
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._steps import note
from checks.probes._support import Measuring, within

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import FileProbe

# A file written after `now` was taken is new, not from the future; beyond this one of the clocks is wrong.
_CLOCK_SLACK = 60.0


def probe(declaration: FileProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Measure the files that match; see `FileProbe`."""
    del unit
    # A setting is a place, not a pattern: its brackets and stars stand for themselves.
    literal = dataclasses.replace(settled, values={name: glob.escape(value) for name, value in settled.values.items()})
    measuring = Measuring(now, f"{declaration.measure} of {settled.fill(declaration.path)}", settled)
    seconds = declaration.timeout.total_seconds()
    try:
        return within(seconds, lambda: _measure(declaration, literal.fill(declaration.path), measuring))
    except TimeoutError:
        return measuring.late(seconds)
    except OSError as error:
        return measuring.failed(f"{error.filename or settled.fill(declaration.path)}: {error.strerror or error}")


def _measure(declaration: FileProbe, pattern: str, measuring: Measuring) -> Observation | Unmeasured:
    folder = _fixed_folder(pattern)
    with os.scandir(folder):
        pass  # glob() takes a folder that is missing or may not be read for an empty one
    files = list(_files(pattern, folder))
    note(f"{len(files)} files match {_shown(pattern)}")
    if declaration.measure == "count":
        return measuring.gave(len(files), "")
    if not files:
        return measuring.failed(f"no file matches {_shown(pattern)}, so there is no {declaration.measure}")
    path, newest = max(files, key=lambda entry: (entry[1].st_mtime, entry[0]))
    note(f"{path.name} is the newest, of {datetime.fromtimestamp(newest.st_mtime, UTC):%Y-%m-%d %H:%M:%S} UTC")
    of_how_many = f"{path.name}, the newest of {len(files)}" if len(files) > 1 else path.name
    if declaration.measure == "size":
        return measuring.gave(newest.st_size, "B", of_how_many)
    age = measuring.now.timestamp() - newest.st_mtime
    if age < -_CLOCK_SLACK:
        return measuring.failed(f"{path} was written {format_value(-age, 's')} in the future; one of the clocks is wrong")
    return measuring.gave(max(age, 0.0), "s", of_how_many)


def _shown(pattern: str) -> str:
    """The pattern without the brackets in which a character stands for itself."""
    for character in "*?[":
        pattern = pattern.replace(f"[{character}]", character)
    return pattern


def _is_pattern(pattern: str) -> bool:
    for character in "*?[":
        pattern = pattern.replace(f"[{character}]", "")
    return glob.has_magic(pattern)


def _fixed_folder(pattern: str) -> Path:
    fixed = Path(pattern).parent
    while _is_pattern(str(fixed)):
        fixed = fixed.parent
    return Path(_shown(str(fixed)))


def _files(pattern: str, folder: Path) -> list[tuple[Path, os.stat_result]]:
    inside = folder.resolve()
    found = []
    for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - pathlib globs below a folder only
        path = Path(name)
        try:
            status = path.stat()
            # A link that leads out of the folder is not one of its files, however fresh what it points at.
            if stat.S_ISREG(status.st_mode) and not (_is_pattern(pattern) and not path.resolve().is_relative_to(inside)):
                found.append((path, status))
        except FileNotFoundError:
            continue  # pruned between listing and looking, or a link to nothing
    return found
