"""The plugin's source and its staging site: a repository with a release, tests that are run, a build, a site to try it on."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.kit import Answer, Counted, Database, Faults, HttpError, JsonLog, Repository, Request, Route
from checks.sandbox.kit_ci import Ci
from checks.sandbox.mase_features import Features
from checks.sandbox.mase_figures import DebugLog, Tally
from checks.sandbox.mase_plugin import GOOD_RELEASE, Plugin, files_of
from checks.sandbox.mase_site import Site

TAG = f"v{GOOD_RELEASE}"
GERMAN = "mase/languages/de.json"
_LOOKED_AT_EVERY = 30.0  # seconds between looks at origin while nothing else asks for one
_STAGING_VISITORS = 3
_TESTS = """import json
import re
import unittest
from pathlib import Path

PLUGIN = Path("mase")


class Plugin(unittest.TestCase):
    def test_it_names_its_release(self):
        self.assertRegex((PLUGIN / "mase.php").read_text(), r"Version: \\d+\\.\\d+\\.\\d+")

    def test_every_language_can_be_read(self):
        for path in PLUGIN.glob("languages/*.json"):
            self.assertEqual({"save", "preview"}, set(json.loads(path.read_text())), path)

    def test_every_template_has_its_colours(self):
        for name, colours in json.loads((PLUGIN / "includes/templates.json").read_text()).items():
            self.assertTrue(all(re.fullmatch(r"#[0-9a-f]{6}", one) for one in colours.values()), name)
"""
_RUN_TESTS = """import io
import json
import sys
import unittest

found = unittest.defaultTestLoader.discover("tests")
result = unittest.TextTestRunner(stream=io.StringIO()).run(found)
print(json.dumps({"tests": result.testsRun, "failed": len(result.failures) + len(result.errors)}))
sys.exit(not (result.testsRun and result.wasSuccessful()))
"""
# A build is made of what has passed, and of nothing else.
_BUILD = """import subprocess
import sys
import tarfile
from pathlib import Path

if subprocess.run([sys.executable, "-B", "ci/tests.py"]).returncode:
    sys.exit("the tests did not pass: nothing is built")
Path("dist").mkdir(exist_ok=True)
with tarfile.open("dist/mase.tar.gz", "w:gz") as archive:
    archive.add("mase")
print("dist/mase.tar.gz")
"""


class Source:
    """The plugin's repository with the tag of its release, CI on it, and a staging site of its own.

    Args:
        folder: where origin, the clone, the results and the staging site lie.
        faults: ``tests`` cuts off the German strings on main, so that a test fails.

    """

    def __init__(self, folder: Path, faults: Faults) -> None:
        self.origin = folder / "origin.git"
        self.staging = Staging(folder / "staging")
        self.repository: Repository
        self.ci: Ci | None = None
        self._folder = folder
        self._faults = faults
        self._done: bool | None = None
        self._looked_at = float("-inf")

    def _begin(self) -> Ci:
        """The repository with its release, made where it is missing, and the tests of it."""
        finished = self._folder / "finished"
        if not finished.exists():
            for left in (self.origin, self._folder / "clone"):
                shutil.rmtree(left, ignore_errors=True)  # what an earlier start left half done
        files = {f"mase/{name}": text for name, text in files_of(GOOD_RELEASE).items()}
        files |= {"tests/test_plugin.py": _TESTS, "ci/tests.py": _RUN_TESTS, "ci/build.py": _BUILD, ".gitignore": "dist/\n"}
        self.repository = Repository(self._folder, files, author="Developers <developers@localhost>")
        if not finished.exists():
            self.repository.commit(f"Release {TAG}", {}, at=datetime.now(UTC) - timedelta(days=6))
            self.repository.git("tag", TAG)
            self.repository.git("push", "--quiet", "origin", "--tags")
            finished.touch()
        return Ci(self._folder, self.repository)

    def work(self) -> None:
        """Push what the fault asks for or take it back, and run the tests of a head that has not been tested."""
        self.ci = self.ci or self._begin()
        wanted = "tests" in self._faults
        if wanted == self._done and time.monotonic() - self._looked_at < _LOOKED_AT_EVERY:
            return
        if wanted != self._done:
            git, german = self.repository.git, self.repository.clone / GERMAN
            git("fetch", "--quiet", "origin")
            git("reset", "--quiet", "--hard", "origin/main")
            text = files_of(GOOD_RELEASE)[GERMAN.removeprefix("mase/")]
            change = text[:-9] if wanted else text
            if (wanted or self._done) and german.read_text(encoding="utf-8") != change:
                self.repository.commit("Shorten German" if wanted else "Restore German", {GERMAN: change})
        self.ci.look()
        self._done, self._looked_at = wanted, time.monotonic()

    def routes(self) -> list[Route]:
        """Results of the tests, and the staging site."""
        return [
            Route("GET", "/ci/runs/{ref}", self._results, Counted.OPERATOR),
            *self.staging.routes(),
        ]

    def _results(self, request: Request) -> Answer:
        if self.ci is None:
            raise HttpError(404, "no tests were run yet")
        return self.ci.answer(request)


class Staging:
    """A second site that nobody but the team sees, with a folder of plugins of its own."""

    def __init__(self, folder: Path) -> None:
        self.plugin = Plugin(folder / "plugins" / "mase", folder / "backups")
        self._requests = JsonLog(folder / "requests.jsonl")
        self._database = Database(folder / "staging.db")
        features = Features(self._database)
        features.create()
        self._site = Site(
            self._database, self.plugin, features, Faults(folder / "faults.json"),
            requests=self._requests, debug_log=DebugLog(folder / "debug.log"), tally=Tally(),
        )  # fmt: skip
        self._site.create(_STAGING_VISITORS)
        if not self.plugin.folder.exists():
            self.plugin.install(GOOD_RELEASE)

    def routes(self) -> list[Route]:
        """The admin page, previews and settings, under an address of their own."""
        site, operator = self._site, Counted.OPERATOR
        return [
            Route("GET", "/staging/wp-admin/admin.php", site.page, operator),
            Route("GET", "/staging/wp-json/mase/v1/preview", site.preview, operator),
            Route("GET", "/staging/wp-json/mase/v1/settings", site.settings, operator),
            Route("POST", "/staging/wp-json/mase/v1/settings", site.save, operator),
        ]

    def close(self) -> None:
        """Close the files."""
        self._requests.close()
        self._database.close()
