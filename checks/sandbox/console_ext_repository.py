"""Console.ext's git repository: its releases, made by the plan's steps or in spite of them, and what is deployed of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox import console_ext_history as history
from checks.sandbox.console_ext_history import CHANGELOG, GUIDE, OPERATIONS, PACKAGE, REVIEWER, SPECIFICATION
from checks.sandbox.kit import utc_text

_AUTHOR, _, _ADDRESS = history.AUTHOR.partition(" <")
_OLD_TAGS_KEPT = 150  # days, the other way round: the fault `tags` deletes those that are younger
_TANGLED = '''"""How a price is found; somebody was in a hurry."""


def price(kind, size, rush):
    """The price of a notification."""
'''
_FAILING = '''"""What the price promises."""

import unittest

from console_ext.price import price


class Price(unittest.TestCase):
    def test_a_small_one_is_cheap(self):
        self.assertEqual(price(0, 1, 0), 3)
'''


class Releases:
    """The repository with a tag, a changelog entry and a deployment for each release.

    Args:
        folder: where the bare origin and the clones are kept; ``clone`` is what is deployed, ``work`` where it is worked.
        try_out: tries a version on staging; without it, staging is taken to be well.

    """

    def __init__(self, folder: Path, try_out: Callable[[], bool] = lambda: True) -> None:
        self.folder = folder
        self.origin, self.clone, self._work = folder / "origin.git", folder / "clone", folder / "work"
        self.deployments = folder / "deployments.jsonl"
        self._try_out = try_out
        self._lock = threading.RLock()
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{role}_NAME": _AUTHOR for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": _ADDRESS.rstrip(">") for role in ("AUTHOR", "COMMITTER")},
        }
        if not self.deployments.exists():
            for old in (self.origin, self.clone, self._work):  # of a stand-in that had no such history
                shutil.rmtree(old, ignore_errors=True)
            history.create(folder, datetime.now(UTC), self._run)
            for version, days, _ in history.RELEASES:
                at = datetime.now(UTC) - timedelta(days=days)
                self._note(version, "staging", at - timedelta(hours=20))
                self._note(version, "production", at)

    # What is there ---------------------------------------------------------------------------------------------------

    def tags(self) -> list[str]:
        """All release tags of the clone, the highest last."""
        return self.git("tag", "--list", "--sort=version:refname").split()

    def deployed(self) -> str:
        """The version that the deployed files say they are."""
        found = re.search(r'"(.+)"', (self.clone / PACKAGE).read_text(encoding="utf-8"))
        return found.group(1) if found else ""

    def unfinished(self) -> str | None:
        """The highest tag's version where the changelog lacks it; else nothing."""
        version = self.tags()[-1].removeprefix("v")
        return None if f"## {version} " in (self.clone / CHANGELOG).read_text(encoding="utf-8") else version

    def head(self, branch: str) -> str:
        """The commit that a branch of the origin is at, read without starting git."""
        loose = self.origin / "refs" / "heads" / branch
        return loose.read_text(encoding="ascii").strip() if loose.exists() else self._packed(branch)

    # Releasing -------------------------------------------------------------------------------------------------------

    def release(self, version: str, change: str) -> None:
        """Release by the plan's steps: develop, a branch, staging, approval, main, a tag, deployment, and back to develop."""
        with self._lock:
            git, now = self._worker(), datetime.now(UTC)
            git("merge", "--quiet", "--no-ff", "-m", _approved("main", "develop"), "origin/main")
            git("checkout", "--quiet", "-B", f"release/{version}")
            at = {path: (self._work / path).read_text(encoding="utf-8") for path in (CHANGELOG, GUIDE)}
            files = history.released(version, change, now, at[CHANGELOG], at[GUIDE])
            self._commit(git, f"Prepare {version}", {**files, SPECIFICATION: history.specification()})
            if self._try_out():
                self._note(version, "staging", now)
            git("checkout", "--quiet", "-B", "main", "origin/main")
            git("merge", "--quiet", "--no-ff", "-m", _approved(f"release/{version}", "main"), f"release/{version}")
            if f"v{version}" not in self._pushed():
                git("tag", f"v{version}")
            git("checkout", "--quiet", "develop")
            git("merge", "--quiet", "--no-ff", "-m", _approved("main", "develop"), "main")
            git("push", "--quiet", "--tags", "origin", "main", "develop")
            self.deploy()

    def deploy(self) -> str:
        """Deploy what the origin's main holds; the version that runs then."""
        with self._lock:
            before = self.deployed()
            self.git("fetch", "--quiet", "--tags", "origin")
            self.git("merge", "--quiet", "--ff-only", "origin/main")
            if self.deployed() != before:
                self._note(self.deployed(), "production", datetime.now(UTC))
            return self.deployed()

    def stage(self, version: str) -> bool:
        """Try a version on staging, and note that it was well; whether it was."""
        well = self._try_out()
        if well:
            self._note(version, "staging", datetime.now(UTC))
        return well

    def finish(self) -> None:
        """Write what an unfinished release lacks and deploy it."""
        if version := self.unfinished():
            self.release(version, "The entry that this release was missing.")

    def keep_up(self, now: datetime) -> None:
        """Release when the plan's cadence says so: a patch each week, a minor each month, a major each quarter."""
        ages = self._ages(now)
        major, minor, patch = (int(part) for part in self.tags()[-1].removeprefix("v").split("."))
        if ages["major"] > timedelta(days=88):
            self.release(f"{major + 1}.0.0", "**Breaking:** what was announced half a year ago is gone.")
        elif ages["minor"] > timedelta(days=28):
            self.release(f"{major}.{minor + 1}.0", "The features of this month.")
        elif ages["patch"] > timedelta(days=6):
            self.release(f"{major}.{minor}.{patch + 1}", "The fixes of this week.")

    # What goes wrong -------------------------------------------------------------------------------------------------

    def tag_without_release(self) -> None:
        """Push the next patch's tag, but neither its changelog entry nor its files."""
        self.git("tag", f"v{self._next_patch()}")
        self.git("push", "--quiet", "--tags", "origin")

    def cut_short(self) -> None:
        """Put a change straight on main, unseen by anybody, take an operation away in a patch, tag it and deploy it."""
        with self._lock:
            git, version = self._worker(), self._next_patch()
            git("checkout", "--quiet", "-B", "main", "origin/main")
            changelog = (self._work / CHANGELOG).read_text(encoding="utf-8")
            files = history.released(version, "A quick one.", datetime.now(UTC), changelog)
            left = tuple(one for one in OPERATIONS if one != ("GET", "/notifications/{id}"))
            files = {name: files[name] for name in (CHANGELOG, PACKAGE)} | {SPECIFICATION: history.specification(left)}
            self._commit(git, "A quick one", files)
            git("tag", f"v{version}")
            git("push", "--quiet", "--tags", "origin", "main")
            self.deploy()

    def make_good(self) -> None:
        """Release the next patch by the plan's steps; what was cut short stays in the history."""
        self.release(self._next_patch(), "What was taken away without a word is back.")

    def push_trouble(self) -> None:
        """Push a tangled function to develop, with a test that fails and an example that does not hold, nine days ago."""
        with self._lock:
            git = self._worker()
            ways = "".join(f"    if kind == {n} and size > {n}:\n        return {n} if rush else {n + 1}\n" for n in range(12))
            wrong = history.EXAMPLES + "\n>>> Bucket(1, 1.0, lambda: 0.0).take()\n'yes'\n"
            files = {
                "console_ext/price.py": f"{_TANGLED}{ways}    return 0\n",
                "tests/test_price.py": _FAILING,
                "docs/examples.md": wrong,
            }
            self._commit(git, "Prices", files, at=datetime.now(UTC) - timedelta(days=9))
            git("push", "--quiet", "origin", "develop")

    def take_trouble_back(self) -> None:
        """Put develop's files back to what main holds, by a commit."""
        with self._lock:
            git = self._worker()
            git("rm", "--quiet", "-r", ".")
            git("checkout", "--quiet", "origin/main", "--", ".")
            git("commit", "--quiet", "--allow-empty", "-m", "Take back what was not ready")
            git("push", "--quiet", "origin", "develop")

    def stray(self) -> None:
        """Push a branch with a name of its own, and a fix to main that develop doesn't get."""
        with self._lock:
            git = self._worker()
            git("push", "--quiet", "--force", "origin", "develop:refs/heads/johns-stuff")
            git("checkout", "--quiet", "-B", "main", "origin/main")
            self._commit(git, "Mend the readme on main only", {"README.md": "# Console.ext\n\nNotifications, delivered.\n"})
            git("push", "--quiet", "origin", "main")
            self.git("fetch", "--quiet", "origin")
            self.git("merge", "--quiet", "--ff-only", "origin/main")

    def bring_back(self) -> None:
        """Delete the stray branch, and merge main into develop."""
        with self._lock:
            git = self._worker()
            git("merge", "--quiet", "--no-ff", "-m", _approved("main", "develop"), "origin/main")
            git("push", "--quiet", "origin", "develop", ":johns-stuff")

    def lose_tags(self) -> None:
        """Delete the tags of the last months from the clone, as a clean-up that went too far would."""
        old = self._dated(datetime.now(UTC) - timedelta(days=_OLD_TAGS_KEPT))
        gone = [tag for tag in self.tags() if tag not in old]
        if gone:
            self.git("tag", "--delete", *gone)

    def leave_over(self) -> None:
        """Leave a branch behind that was merged long ago."""
        oldest = self.git("rev-parse", "v2.0.0^2")
        self.git("push", "--quiet", "--force", "origin", f"{oldest}:refs/heads/feature/old-idea")

    def clear_away(self) -> None:
        """Delete the branch that was left over."""
        self.git("push", "--quiet", "origin", ":feature/old-idea")

    # Within ----------------------------------------------------------------------------------------------------------

    def git(self, *arguments: str) -> str:
        """Run git in the clone that is deployed; its standard output.

        Raises:
            subprocess.CalledProcessError: git failed; its ``stderr`` says why.

        """
        return self._run("git", *arguments, cwd=self.clone)

    def _worker(self) -> Callable[..., str]:
        """Git in the clone where it is worked, which is at develop as the origin has it."""
        if not self._work.exists():
            self._run("git", "clone", "--quiet", str(self.origin), str(self._work), cwd=self.folder)

        def git(*arguments: str) -> str:
            return self._run("git", *arguments, cwd=self._work)

        git("fetch", "--quiet", "--tags", "origin")
        git("checkout", "--quiet", "--force", "-B", "develop", "origin/develop")
        return git

    def _commit(self, git: Callable[..., str], text: str, files: dict[str, str], *, at: datetime | None = None) -> None:
        for name, content in files.items():
            target = self._work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        git("add", "--all")
        dated = () if at is None else ("--date", at.isoformat())
        git("commit", "--quiet", "--allow-empty", *dated, "-m", text)

    def _next_patch(self) -> str:
        major, minor, patch = self._pushed()[-1].removeprefix("v").split(".")
        return f"{major}.{minor}.{int(patch) + 1}"

    def _pushed(self) -> list[str]:
        return self._run("git", "tag", "--list", "--sort=version:refname", cwd=self.origin).split()

    def _ages(self, now: datetime) -> dict[str, timedelta]:
        """How long ago the newest release of each kind was."""
        told: dict[str, timedelta] = {}
        listing = self.git("tag", "--list", "--format=%(refname:short) %(creatordate:unix)")
        for tag, moment in (line.split() for line in listing.splitlines()):
            age = now - datetime.fromtimestamp(int(moment), UTC)
            kinds = ["patch", *(["minor"] if tag.endswith(".0") else []), *(["major"] if tag.endswith(".0.0") else [])]
            for kind in kinds:
                told[kind] = min(told.get(kind, age), age)
        return told

    def _dated(self, before: datetime) -> set[str]:
        listing = self.git("tag", "--list", "--format=%(refname:short) %(creatordate:unix)")
        pairs = (line.split() for line in listing.splitlines())
        return {tag for tag, moment in pairs if int(moment) < before.timestamp()}

    def _note(self, version: str, environment: str, at: datetime) -> None:
        line = {"version": version, "environment": environment, "at": utc_text(at), "by": REVIEWER.partition(" <")[0]}
        with self.deployments.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")

    def _packed(self, branch: str) -> str:
        packed = self.origin / "packed-refs"
        if packed.exists():
            for line in packed.read_text(encoding="ascii").splitlines():
                if line.endswith(f" refs/heads/{branch}"):
                    return line.split()[0]
        return ""

    def _run(self, *command: str, cwd: Path) -> str:
        done = subprocess.run(command, cwd=cwd, env=self._environment, check=True, capture_output=True, text=True, timeout=30)
        return done.stdout.strip()


def _approved(branch: str, into: str) -> str:
    return f"Merge branch '{branch}' into {into}\n\nReviewed-by: {REVIEWER}"
