"""The project's side of turbo-octo-robot: a repository with two releases, CI that really runs, and a package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox import turbo_octo_robot_files as files
from checks.sandbox.kit import Answer, Counted, Database, Faults, HttpError, Repository, Request, Route, read_json, write_json

RELEASE, PREVIOUS, PATCH = "v2.0.0", "v1.0.0", "v2.0.1"
_FAQ_OF_LONG_AGO = timedelta(days=130)
_RELEASED_AGO, _PREVIOUS_AGO = timedelta(days=8), timedelta(days=120)
_RUNS_KEPT = 200
_TABLES = """
CREATE TABLE IF NOT EXISTS workflow_run (
  id INTEGER PRIMARY KEY, workflow INTEGER NOT NULL, head_sha TEXT NOT NULL, conclusion TEXT NOT NULL, created_at TEXT NOT NULL);
"""


class Project:
    """The repository, what runs on it, and the index that its requirements are looked up in.

    Args:
        folder: where origin, the developers' clone, the operator's clone (``workspace``) and the index lie.
        database: where runs of workflows are stored.
        faults: ``ci`` pushes a test that fails, ``vulnerable`` an old pin, ``faq`` an old FAQ; ``tag`` withdraws the
            release's tag, ``patch`` adds one that the changelog does not name.
        name: ``owner/name`` as the API's paths hold it.

    """

    def __init__(self, folder: Path, database: Database, faults: Faults, name: str) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.index = folder / "index.json"
        self._withdrawn = folder / "withdrawn.json"
        self._database = database
        self._faults = faults
        self._name = name
        self._seen: tuple[str, frozenset[str]] | None = None
        self._patched = False
        database.script(_TABLES)
        finished = folder / "finished"
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an earlier start left half done
        self.repository = Repository(folder, files.PREVIOUS, author="Developers <developers@localhost>")
        if not finished.exists():
            self._release()
            write_json(self.index, files.INDEX)
            finished.touch()

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.repository.origin

    def released_at(self) -> str:
        """When the release was merged, ISO 8601."""
        return self.repository.git("log", "-1", "--format=%cI", "--grep", f"^Release {RELEASE}$", "--all")

    def _release(self) -> None:
        now = datetime.now(UTC)
        release = {**files.RELEASE, files.FAQ: files.faq(f"{now - _RELEASED_AGO:%Y-%m-%d}")}
        for tag, tree, ago in ((PREVIOUS, files.PREVIOUS, _PREVIOUS_AGO), (RELEASE, release, _RELEASED_AGO)):
            self.repository.commit(f"Release {tag}", tree, at=now - ago)
            self.repository.git("tag", tag)
        self.repository.git("push", "--quiet", "origin", "--tags")
        self.repository.git("clone", "--quiet", str(self.origin), str(self.workspace))
        for key, value in (("name", "Operator"), ("email", "operator@localhost")):
            self.repository.git("-C", str(self.workspace), "config", f"user.{key}", value)

    # What developers and CI do --------------------------------------------------------------------------------------

    def work(self) -> None:
        """Push what the faults ask for, and run the workflows on a new head of main."""
        self._withdraw_or_restore()
        self._patch_or_take_back()
        head = self._on_origin("refs/heads/main")
        faults = self._faults.on()  # looked at once: what is remembered as done must be what was done
        if head and (head, faults) != self._seen:
            head = self._develop(faults) or head
            if self._database.value("SELECT head_sha FROM workflow_run ORDER BY id DESC LIMIT 1") != head:
                self._run_workflows(head)
            self._seen = (head, faults)

    def _withdraw_or_restore(self) -> None:
        commit = str(read_json(self._withdrawn).get("commit", ""))
        if "tag" in self._faults and not commit and (commit := self._on_origin(f"refs/tags/{RELEASE}")):
            write_json(self._withdrawn, {"commit": commit})
            self.repository.git("push", "--quiet", "origin", f":refs/tags/{RELEASE}")
        elif "tag" not in self._faults and commit:
            self.repository.git("push", "--quiet", "origin", f"+{commit}:refs/tags/{RELEASE}")
            self._withdrawn.unlink()

    def _patch_or_take_back(self) -> None:
        """Tag a patch on main that the changelog knows nothing of, once, or remove that tag."""
        wanted = "patch" in self._faults
        if wanted == self._patched:
            return
        there = self._on_origin(f"refs/tags/{PATCH}")
        if wanted and not there:
            self.repository.git("push", "--quiet", "origin", f"{self._on_origin('refs/heads/main')}:refs/tags/{PATCH}")
        elif not wanted and there:
            self.repository.git("push", "--quiet", "origin", f":refs/tags/{PATCH}")
        self._patched = wanted

    def _on_origin(self, ref: str) -> str:
        """The commit that a ref of origin points at; empty where there is no such ref."""
        return self.repository.git("ls-remote", "origin", ref).partition("\t")[0]

    def _develop(self, faults: frozenset[str]) -> str:
        """Commit on main what is wanted and is not there; the new head, empty where nothing was to be done."""
        git = self.repository.git
        git("fetch", "--quiet", "origin")
        git("reset", "--quiet", "--hard", "origin/main")
        here = self.repository.clone
        if not (here / files.REQUIREMENTS).exists():
            return ""  # main was rolled back to before there was anything to break
        pin = files.VULNERABLE_PIN if "vulnerable" in faults else files.SAFE_PIN
        pins = "".join(f"{pin if one == files.SAFE_PIN else one}\n" for one in files.PINS)
        wanted = {files.REQUIREMENTS: pins, files.REGRESSION_TEST: files.REGRESSION if "ci" in faults else None}
        released = datetime.fromisoformat(self.released_at())
        renewed = datetime.now(UTC) - _FAQ_OF_LONG_AGO if "faq" in faults else released
        wanted[files.FAQ] = files.faq(f"{renewed:%Y-%m-%d}")
        there = {path: (here / path).read_text(encoding="utf-8") if (here / path).exists() else None for path in wanted}
        changes = {path: text for path, text in wanted.items() if there[path] != text}
        return self.repository.commit("Change " + ", ".join(changes), changes) if changes else ""

    def _run_workflows(self, head: str) -> None:
        with tempfile.TemporaryDirectory(prefix="ci-") as checkout:
            self.repository.git("clone", "--quiet", "--shared", str(self.origin), checkout)
            self.repository.git("-C", checkout, "checkout", "--quiet", head)
            for number, (_, script) in files.WORKFLOWS.items():
                begun = datetime.now(UTC)
                done = subprocess.run([sys.executable, "-B", script], cwd=checkout, capture_output=True, timeout=60, check=False)
                self._database.run(
                    "INSERT INTO workflow_run (workflow, head_sha, conclusion, created_at) VALUES (?, ?, ?, ?)",
                    number, head, "failure" if done.returncode else "success", begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
                )  # fmt: skip
        self._database.run("DELETE FROM workflow_run WHERE id <= (SELECT max(id) FROM workflow_run) - ?", _RUNS_KEPT)

    # What is asked of them ------------------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """GitHub's actions and commits, and the index's JSON API."""
        base = f"/repos/{self._name}"
        return [
            Route("GET", f"{base}/actions/workflows", self._workflows, Counted.OPERATOR),
            Route("GET", f"{base}/actions/workflows/{{workflow}}/runs", self._runs, Counted.OPERATOR),
            Route("GET", f"{base}/commits/{{ref}}", self._commit, Counted.OPERATOR),
            Route("GET", "/pypi/{package}/json", self._package, Counted.OPERATOR),
            Route("GET", "/pypi/{package}/{version}/json", self._package, Counted.OPERATOR),
        ]

    def _workflows(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        listed = [
            {"id": number, "name": name, "path": f".github/workflows/{name.lower()}.yml", "state": "active"}
            for number, (name, _) in files.WORKFLOWS.items()
        ]
        return Answer({"total_count": len(listed), "workflows": listed})

    def _runs(self, request: Request) -> Answer:
        rows = self._database.rows(
            "SELECT id, head_sha, conclusion, created_at FROM workflow_run WHERE workflow = ? ORDER BY id DESC LIMIT ?",
            request.args["workflow"], int(request.query.get("per_page", "30")),
        )  # fmt: skip
        runs = [
            {"id": id_, "head_branch": "main", "head_sha": sha, "status": "completed", "conclusion": conclusion, "created_at": at}
            for id_, sha, conclusion, at in rows
        ]
        return Answer({"total_count": len(runs), "workflow_runs": runs})

    def _commit(self, request: Request) -> Answer:
        commit = self._on_origin(f"refs/heads/{request.args['ref']}")
        if not commit:
            raise HttpError(404, "Not Found")
        return Answer({"sha": commit})

    def _package(self, request: Request) -> Answer:
        index = read_json(self.index)
        package = request.args["package"].lower()
        newest = index.get("newest", {}).get(package)
        if newest is None:
            raise HttpError(404, "Not Found")
        version = request.args.get("version", newest)
        known = [
            {key: value for key, value in advisory.items() if key not in ("package", "versions")}
            for advisory in index.get("advisories", [])
            if advisory["package"] == package and version in advisory["versions"]
        ]
        return Answer({"info": {"name": package, "version": version}, "vulnerabilities": known})
