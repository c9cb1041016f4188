"""The wellbeing stand-in's source: a repository with a release, CI that really runs its tests, an index, and what is deployed."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.sandbox import wellbeing_files as files
from checks.sandbox.kit import Answer, Counted, Faults, HttpError, Repository, Request, Route, read_json, utc_text, write_json
from checks.sandbox.kit_ci import Ci

_LOOKED_AT_EVERY = 30.0  # seconds between looks at origin while nothing else asks for one
_RELEVANT = frozenset({"vulnerable", "tests", "secret"})


class Project:
    """The repository, the runs of its tests, and the release that is deployed.

    Args:
        folder: where origin, the clone, the index, the runs and the releases lie.
        faults: ``vulnerable`` pins an old package, ``tests`` adds a test that fails, ``secret`` commits a key.

    """

    def __init__(self, folder: Path, faults: Faults) -> None:
        self.folder = folder
        self._faults = faults
        self._lock = threading.RLock()
        self._done: frozenset[str] | None = None
        self._looked_at = float("-inf")
        finished = folder / "finished"
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an earlier start left half done
        self.repository = Repository(folder, files.BEFORE, author="Developers <developers@localhost>")
        self.ci = Ci(folder, self.repository)
        if not finished.exists():
            self._release()
            finished.touch()

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.repository.origin

    @property
    def deployed(self) -> dict[str, Any]:
        """What is deployed: its commit, since when, and the commit before it."""
        return read_json(self.folder / "deployed.json")

    def replicas(self) -> int:
        """How many instances of the API the deployed release asks for; 1 where it does not say."""
        for line in (self.ci.unpacked(str(self.deployed["commit"])) / files.COMPOSE).read_text(encoding="utf-8").splitlines():
            name, _, count = line.strip().partition(":")
            if name == "replicas" and count.strip().isdecimal():
                return max(1, min(5, int(count)))
        return 1

    def _release(self) -> None:
        git, now = self.repository.git, datetime.now(UTC)
        write_json(self.folder / "index.json", files.INDEX)
        before = git("rev-parse", "HEAD")
        git("tag", files.PREVIOUS)
        commit = self.repository.commit("Release", files.AFTER, at=now - timedelta(days=12))
        git("tag", files.RELEASE)
        git("push", "--quiet", "origin", "--tags")
        for one in (before, commit):
            self.ci.unpacked(one)
        write_json(self.folder / "deployed.json", {"commit": commit, "since": utc_text(now), "before": before})

    # What developers and CI do --------------------------------------------------------------------------------------

    def work(self) -> None:
        """Push what the faults ask for and take back what they left; run the tests of a head that has not been tested."""
        faults = self._faults.on() & _RELEVANT
        if faults == self._done and time.monotonic() - self._looked_at < _LOOKED_AT_EVERY:
            return
        with self._lock:
            if faults != self._done:
                self._develop(faults)
            self.ci.look()
            self._done, self._looked_at = faults, time.monotonic()

    def _develop(self, faults: frozenset[str]) -> None:
        git, here = self.repository.git, self.repository.clone
        git("fetch", "--quiet", "origin")
        git("reset", "--quiet", "--hard", "origin/main")
        # A key that was committed is out of the repository only when its commit is.
        if "secret" not in faults and (leaked := git("log", "--format=%H", "--reverse", "--", files.LEAKED).split()):
            git("reset", "--quiet", "--hard", f"{leaked[0]}~1")
            git("push", "--quiet", "--force", "origin", "main")
        pins = (here / files.REQUIREMENTS).read_text(encoding="utf-8")
        old, new = (files.SAFE_PIN, files.VULNERABLE_PIN)[:: 1 if "vulnerable" in faults else -1]
        wanted = {
            files.REQUIREMENTS: pins.replace(old, new),
            files.REGRESSION_TEST: files.REGRESSION if "tests" in faults else None,
            files.LEAKED: files.LEAK if "secret" in faults else None,
        }
        there = {path: (here / path).read_text(encoding="utf-8") if (here / path).exists() else None for path in wanted}
        changes = {path: text for path, text in wanted.items() if there[path] != text}
        if changes:
            self.repository.commit("Change " + ", ".join(changes), changes)

    # What is asked of them ------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """Runs of the tests, and the index."""
        return [
            Route("GET", "/ci/runs/{ref}", self.ci.answer, Counted.OPERATOR),
            Route("GET", "/pypi/{package}/json", self._package, Counted.OPERATOR),
            Route("GET", "/pypi/{package}/{version}/json", self._package, Counted.OPERATOR),
        ]

    def deploy(self, ref: str) -> dict[str, Any]:
        """Put the files of a branch or tag, or of what was deployed before, in place; they are used from the next start on.

        Raises:
            HttpError: 409, its tests were not run, or failed; 404, there is no such branch, tag or release.

        """
        with self._lock:
            now = self.deployed
            commit = str(now.get("before", "")) if ref == "before" else self.ci.commit_of(ref)
            if not commit:
                raise HttpError(404, "nothing was deployed before")
            tested = self.ci.tested(commit)
            if ref != "before" and (not tested["tests"] or tested["failed"] != 0):
                raise HttpError(409, f"{tested['failed']} of {tested['tests']} tests failed: it is not deployed")
            self.ci.unpacked(commit)
            after = {"commit": commit, "since": utc_text(datetime.now(UTC)), "before": now.get("commit", "")}
            write_json(self.folder / "deployed.json", after)
            return after

    def _package(self, request: Request) -> Answer:
        index, package = read_json(self.folder / "index.json"), request.args["package"].lower()
        releases = index.get("releases", {}).get(package)
        if not releases:
            raise HttpError(404, "Not Found")
        version = request.args.get("version", releases[-1])
        known = [
            {key: value for key, value in advisory.items() if key not in ("package", "versions")}
            for advisory in index.get("advisories", [])
            if advisory["package"] == package and version in advisory["versions"]
        ]
        body = {"info": {"name": package, "version": version}, "releases": releases, "vulnerabilities": known}
        return Answer(body)
