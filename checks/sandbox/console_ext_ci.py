"""Console.ext's CI: it runs what the repository's own pipeline says, for each new commit on develop, and keeps what it found."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.kit import Faults, write_json

_SCAN_AGAIN_AFTER = timedelta(minutes=5)
_KEPT = 20
_STOOD_STILL = timedelta(days=8)


class Pipeline:
    """Results as JSON files, one a run, named and dated by when it was.

    Args:
        releases: whose commits are tried.
        folder: where results are kept.
        packages: address of the packages' index.
        faults: ``scan`` lets it stand still, and its newer results be lost.

    """

    def __init__(self, releases: Releases, folder: Path, packages: str, faults: Faults) -> None:
        self._releases = releases
        self.folder = folder
        self._packages = packages
        self._faults = faults
        self._scratch = folder / ".scratch"
        shutil.rmtree(self._scratch, ignore_errors=True)  # of a run that its process did not live to end
        self._scratch.mkdir(parents=True)

    def look(self) -> None:
        """Run the pipeline where there is a commit that was not tried, or the last scan is some minutes old."""
        if "scan" in self._faults:
            self._lose_the_newest()
            return
        commit, now = self._releases.head("develop"), datetime.now(UTC)
        newest = max(self.folder.glob("*.json"), default=None)
        tried = newest is not None and commit in newest.name
        if not (newest and tried and now.timestamp() - newest.stat().st_mtime < _SCAN_AGAIN_AFTER.total_seconds()):
            self._run(commit, now)

    def _run(self, commit: str, now: datetime) -> None:
        with tempfile.TemporaryDirectory(dir=self._scratch) as scratch:
            packed = subprocess.run(
                ["git", "archive", "--format=tar", commit], cwd=self._releases.origin, capture_output=True, check=True, timeout=30
            )
            with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tree:
                tree.extractall(scratch, filter="data")
            done = subprocess.run(
                [sys.executable, "tools/pipeline.py", "--packages", self._packages],
                cwd=scratch,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        write_json(self.folder / f"{now:%Y%m%dT%H%M%S}-{commit}.json", {"commit": commit, **json.loads(done.stdout)})
        for old in sorted(self.folder.glob("*.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _lose_the_newest(self) -> None:
        """Leave no result that is younger than eight days; the oldest is dated to then, with what it found."""
        results = sorted(self.folder.glob("*.json"))
        at = (datetime.now(UTC) - _STOOD_STILL).timestamp()
        for result in results[1:]:
            result.unlink(missing_ok=True)
        if results and results[0].stat().st_mtime > at + 3600:
            os.utime(results[0], (at, at))
