"""Console.ext's git repository: its programs, its releases, and what an unfinished release leaves behind."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.kit import Repository

_SOURCE = Path(__file__).with_name("console_ext_source")
_PACKAGE = "console_ext/__init__.py"
_CHANGELOG = "CHANGELOG.md"
_CHANGELOG_HEAD = "# Changelog\n\nVersions follow Semantic Versioning.\n"
_TESTS = '''"""What the rate limit promises."""

import unittest

from console_ext.rate_limit import Bucket


class RateLimit(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.bucket = Bucket(3, 2.0, lambda: self.now)

    def test_a_burst_is_let_through(self):
        self.assertTrue(all(self.bucket.take() for _ in range(3)))

    def test_one_more_than_the_burst_is_refused(self):
        for _ in range(3):
            self.bucket.take()
        self.assertFalse(self.bucket.take())

    def test_tokens_come_back_with_time(self):
        for _ in range(3):
            self.bucket.take()
        self.now = 0.5
        self.assertTrue(self.bucket.take())
        self.assertFalse(self.bucket.take())

    def test_a_long_rest_gives_no_more_than_the_burst(self):
        self.now = 3600.0
        self.assertEqual(sum(self.bucket.take() for _ in range(10)), 3)


if __name__ == "__main__":
    unittest.main()
'''
# Version, days before the first start on which it was released, and what the changelog says of it.
_RELEASES = (
    ("2.0.0", 84, "API keys replace passwords in the API; requests without a key are refused."),
    ("2.1.0", 57, "Deliveries are tried up to three times."),
    ("2.2.0", 29, "Accounts are locked after five wrong passwords within a minute."),
    ("2.2.1", 15, "A customer's rate limit no longer forgets its tokens at midnight."),
    ("2.3.0", 3, "Every log line carries the correlation id of its request."),
)


class Releases:
    """The repository with a tag and a changelog entry for each release.

    Args:
        folder: where the bare origin and the clone are kept.

    """

    def __init__(self, folder: Path) -> None:
        files = {
            "README.md": "# Console.ext\n\nNotifications. Tests: `python3 -m unittest discover -s tests -t .`\n",
            "console_ext/rate_limit.py": (_SOURCE / "rate_limit.py").read_text(encoding="utf-8"),
            "tools/restore.py": (_SOURCE / "restore.py").read_text(encoding="utf-8"),
            "tests/__init__.py": "",
            "tests/test_rate_limit.py": _TESTS,
            _PACKAGE: '__version__ = "0.0.0"\n',
            _CHANGELOG: _CHANGELOG_HEAD,
            ".gitignore": "__pycache__/\n",
        }
        self.repository = Repository(folder, files, author="Console.ext <dev@console-ext.invalid>")
        if not self.tags():
            for version, days, change in _RELEASES:
                self._release(version, change, datetime.now(UTC) - timedelta(days=days))
            self.repository.git("push", "--quiet", "origin", "main:develop")

    @property
    def clone(self) -> Path:
        """The clone that the service is deployed from."""
        return self.repository.clone

    def tags(self) -> list[str]:
        """All release tags, the highest last."""
        return self.repository.git("tag", "--list", "--sort=version:refname").split()

    def deployed(self) -> str:
        """The version that the deployed files say they are."""
        found = re.search(r'"(.+)"', (self.clone / _PACKAGE).read_text(encoding="utf-8"))
        return found.group(1) if found else ""

    def unfinished(self) -> str | None:
        """The highest tag's version where the changelog lacks it; else nothing."""
        version = self.tags()[-1].removeprefix("v")
        return None if f"## {version} " in (self.clone / _CHANGELOG).read_text(encoding="utf-8") else version

    def tag_without_release(self) -> None:
        """Push the next patch's tag, but neither its changelog entry nor its files."""
        major, minor, patch = self.tags()[-1].removeprefix("v").split(".")
        tag = f"v{major}.{minor}.{int(patch) + 1}"
        self.repository.git("tag", tag)
        self.repository.git("push", "--quiet", "origin", tag)

    def finish(self) -> None:
        """Write what an unfinished release lacks and deploy it."""
        if version := self.unfinished():
            self._write(version, "The entry that this release was missing.", datetime.now(UTC))

    def _release(self, version: str, change: str, at: datetime) -> None:
        self._write(version, change, at)
        self.repository.git("tag", f"v{version}")
        self.repository.git("push", "--quiet", "origin", f"v{version}")

    def _write(self, version: str, change: str, at: datetime) -> None:
        older = (self.clone / _CHANGELOG).read_text(encoding="utf-8").removeprefix(_CHANGELOG_HEAD)
        entry = f"\n## {version} ({at:%Y-%m-%d})\n\n- {change}\n"
        files = {_CHANGELOG: f"{_CHANGELOG_HEAD}{entry}{older}", _PACKAGE: f'__version__ = "{version}"\n'}
        self.repository.commit(f"Release {version}", files, at=at)
