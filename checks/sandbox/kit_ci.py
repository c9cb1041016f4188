"""Tests of a repository that are really run, once a commit, from the files of that commit and nothing else."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.sandbox.kit_git import Repository
from checks.sandbox.kit_http import Answer, HttpError, Request
from checks.sandbox.kit_store import read_json, utc_text, write_json

ADVISORY = {
    "package": "jinja2",
    "versions": ["3.1.0", "3.1.1", "3.1.2"],
    "id": "GHSA-h5c8-rqwp-cp95",
    "aliases": ["CVE-2024-22195"],
    "summary": "The xmlattr filter takes keys that hold spaces, so other attributes can be injected.",
    "fixed_in": ["3.1.3"],
    "withdrawn": None,
}
"""What is really known of a version that faults pin."""
_RUNS_KEPT = 50


class Ci:
    """Unpacks commits and runs their ``ci/tests.py``, which prints ``{"tests": …, "failed": …}``.

    Args:
        folder: where the unpacked commits and the results lie.
        repository: whose commits they are.

    """

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.folder = folder
        self._repository = repository
        self._lock = threading.RLock()
        self.main: dict[str, Any] = {}

    def commit_of(self, ref: str) -> str:
        """The commit that a branch or tag of origin points at.

        Raises:
            HttpError: 404, there is none.

        """
        found = self._repository.git("ls-remote", "origin", f"refs/heads/{ref}", f"refs/tags/{ref}").split()
        if not found:
            raise HttpError(404, f"origin has no {ref}")
        return found[0]

    def look(self) -> None:
        """Run the tests of main's newest commit, unless they were."""
        self.main = self.tested(self.commit_of("main"))

    def tested(self, commit: str) -> dict[str, Any]:
        """How the tests of a commit went; they are run once."""
        with self._lock:
            runs = read_json(self.folder / "runs.json").get("runs", [])
            known = next((run for run in runs if run["commit"] == commit), None)
            if known is None:
                known = self._run(commit)
                write_json(self.folder / "runs.json", {"runs": [*runs, known][-_RUNS_KEPT:]})
            return dict(known)

    def unpacked(self, commit: str) -> Path:
        """The folder of a commit's files, whole or not there."""
        target = self.folder / "commits" / commit[:12]
        if target.exists():
            return target
        self._repository.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        packed = subprocess.run(
            ["git", "archive", commit], cwd=self._repository.clone, capture_output=True, timeout=30, check=True
        ).stdout
        draft = target.with_name(f".{target.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    path = draft / member.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(file.read())
        draft.rename(target)
        return target

    def answer(self, request: Request) -> Answer:
        """How the tests of a branch or tag (``{ref}`` of the route) went, if they were run."""
        ref = request.args["ref"]
        if ref == "main" and self.main:
            return Answer(self.main)
        commit = self.commit_of(ref)
        runs = read_json(self.folder / "runs.json").get("runs", [])
        known = next((run for run in runs if run["commit"] == commit), None)
        if known is None:
            raise HttpError(404, "its tests were not run yet")
        return Answer(known)

    def run(self, request: Request) -> Answer:
        """Run the tests of the branch or tag that the body names as ``ref``, unless its commit was tested."""
        return Answer(self.tested(self.commit_of(str(request.json().get("ref", "main")))))

    def _run(self, commit: str) -> dict[str, Any]:
        begun, folder = datetime.now(UTC), self.unpacked(commit)
        done = subprocess.run(
            [sys.executable, "-B", "ci/tests.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        try:
            counted = json.loads(done.stdout)
        except ValueError:
            counted = {"tests": 0, "failed": None}  # a run that does not say how it went has not passed
        took_s = (datetime.now(UTC) - begun).total_seconds()
        return {"commit": commit, "at": utc_text(begun), "took_s": round(took_s, 2), **counted}
