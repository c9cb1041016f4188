"""The history of Console.ext's repository: each release on branches of its own, approved, merged, tagged and merged back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from checks.sandbox.console_ext_outside import PINNED

SOURCE = Path(__file__).with_name("console_ext_source")
PACKAGE = "console_ext/__init__.py"
CHANGELOG = "CHANGELOG.md"
CHANGELOG_HEAD = "# Changelog\n\nVersions follow Semantic Versioning.\n"
GUIDE = "docs/guide.md"
SPECIFICATION = "docs/openapi.json"
AUTHOR = "Console.ext <dev@console-ext.invalid>"
REVIEWER = "Another Pair of Eyes <review@console-ext.invalid>"
# What customers and users may ask; the specification says so, and the service is held against it.
OPERATIONS = (
    ("POST", "/notifications"),
    ("GET", "/notifications/{id}"),
    ("POST", "/signup"),
    ("POST", "/login"),
    ("GET", "/dashboard"),
    ("POST", "/feedback"),
)
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
EXAMPLES = """# Examples

CI runs these lines; one that no longer holds fails.

A bucket lets a burst through, and then refuses:

>>> from console_ext.rate_limit import Bucket
>>> bucket = Bucket(2, 1.0, lambda: 0.0)
>>> [bucket.take() for _ in range(3)]
[True, True, False]
"""
# Version, days before the first start on which it was released, and what the changelog says of it.
RELEASES = (
    ("1.0.0", 190, "Notifications, delivered."),
    ("2.0.0", 84, "**Breaking:** API keys replace passwords in the API; requests without a key are refused."),
    ("2.1.0", 57, "Deliveries are tried up to three times."),
    ("2.2.0", 29, "Accounts are locked after five wrong passwords within a minute."),
    ("2.2.1", 15, "A customer's rate limit no longer forgets its tokens at midnight."),
    ("2.3.0", 3, "Every log line carries the correlation id of its request."),
)


@dataclass(frozen=True, slots=True)
class _Commit:
    mark: int
    ref: str
    text: str
    at: datetime
    parents: tuple[int, ...]
    files: Mapping[str, str]


def create(folder: Path, now: datetime, run: Callable[..., str]) -> None:
    """Make the bare repository ``origin.git`` with all of its history, by one import, and a clone of it.

    Args:
        folder: where both are kept.
        now: the time that the releases' days are counted back from.
        run: starts git with these arguments in this folder.

    """
    folder.mkdir(parents=True, exist_ok=True)
    origin, clone = folder / "origin.git", folder / "clone"
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin), cwd=folder)
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=origin, input=_stream(now).encode(), check=True, capture_output=True, timeout=30
    )
    run("git", "clone", "--quiet", str(origin), str(clone), cwd=folder)


def released(version: str, change: str, at: datetime, changelog: str, guide: str = "") -> dict[str, str]:
    """The files that a release writes."""
    older = changelog.removeprefix(CHANGELOG_HEAD)
    manual = guide.partition("\n")[2] or "\nSign up, take a key, and post your first notification. Examples: `examples.md`.\n"
    return {
        CHANGELOG: f"{CHANGELOG_HEAD}\n## {version} ({at:%Y-%m-%d})\n\n- {change}\n{older}",
        PACKAGE: f'__version__ = "{version}"\n',
        GUIDE: f"# Console.ext {version}\n{manual}",
    }


def specification(operations: tuple[tuple[str, str], ...] = OPERATIONS) -> str:
    """The API's specification, as OpenAPI has it."""
    paths: dict[str, dict[str, object]] = {}
    for method, path in operations:
        paths.setdefault(path, {})[method.lower()] = {"responses": {"default": {"description": "see the guide"}}}
    told = {"openapi": "3.1.0", "info": {"title": "Console.ext", "version": "2"}, "paths": paths}
    return json.dumps(told, indent=1) + "\n"


def _first_files() -> dict[str, str]:
    return {
        "README.md": "# Console.ext\n\nNotifications. Tests: `python3 -m unittest discover -s tests -t .`\n",
        "console_ext/rate_limit.py": (SOURCE / "rate_limit.py").read_text(encoding="utf-8"),
        "tools/restore.py": (SOURCE / "restore.py").read_text(encoding="utf-8"),
        "tools/pipeline.py": (SOURCE / "pipeline.py").read_text(encoding="utf-8"),
        "tests/__init__.py": "",
        "tests/test_rate_limit.py": _TESTS,
        "requirements.txt": "".join(f"{name}=={version}\n" for name, (version, _) in PINNED.items()),
        PACKAGE: '__version__ = "0.0.0"\n',
        CHANGELOG: CHANGELOG_HEAD,
        GUIDE: "# Console.ext 0.0.0\n",
        "docs/examples.md": EXAMPLES,
        SPECIFICATION: specification(),
        ".gitignore": "__pycache__/\n",
    }


def _stream(now: datetime) -> str:
    """Each release as five commits: a feature, its merge, the preparation, the merge to main, and the merge back."""
    files = _first_files()
    begun = now - timedelta(days=200)
    commits = [_Commit(1, "refs/heads/main", "First commit", begun, (), dict(files))]
    main = develop = mark = 1
    tags = []
    for version, days, change in RELEASES:
        at = now - timedelta(days=days)
        files = {**files, f"docs/notes/{version}.md": f"{change}\n"}
        feature = _Commit(mark + 1, f"refs/heads/feature/{version}", change, at - timedelta(hours=30), (develop,), files)
        brought = _Commit(
            mark + 2, "refs/heads/develop", _merge(f"feature/{version}", "develop"), at - timedelta(hours=26),
            (develop, mark + 1), files,
        )  # fmt: skip
        files = {**files, **released(version, change, at, files[CHANGELOG], files[GUIDE])}
        prepared = _Commit(
            mark + 3, f"refs/heads/release/{version}", f"Prepare {version}", at - timedelta(hours=25), (mark + 2,), files
        )
        merged = _Commit(mark + 4, "refs/heads/main", _merge(f"release/{version}", "main"), at, (main, mark + 3), files)
        back = _Commit(mark + 5, "refs/heads/develop", _merge("main", "develop"), at, (mark + 2, mark + 4), files)
        commits += [feature, brought, prepared, merged, back]
        main, develop, mark = mark + 4, mark + 5, mark + 5
        tags.append(f"reset refs/tags/v{version}\nfrom :{main}\n")
    receipt = {**files, "docs/notes/receipts.md": "Customers see when a notification was read.\n"}
    text = "Delivery receipts, begun"
    commits.append(_Commit(mark + 1, "refs/heads/feature/delivery-receipts", text, now - timedelta(days=1), (develop,), receipt))
    # Branches of what is released are deleted, as everybody does; the commits stay.
    over = [
        f"reset refs/heads/{kind}/{version}\nfrom {'0' * 40}\n" for version, *_ in RELEASES for kind in ("feature", "release")
    ]
    return "".join([*map(_written, commits), *tags, *over])


def _merge(branch: str, into: str) -> str:
    return f"Merge branch '{branch}' into {into}\n\nReviewed-by: {REVIEWER}"


def _written(commit: _Commit) -> str:
    parents = "".join(f"{'from' if number == 0 else 'merge'} :{parent}\n" for number, parent in enumerate(commit.parents))
    head = f"commit {commit.ref}\nmark :{commit.mark}\ncommitter {AUTHOR} {int(commit.at.timestamp())} +0000\n"
    files = "".join(f"M 100644 inline {path}\n{_data(text)}" for path, text in sorted(commit.files.items()))
    return f"{head}{_data(commit.text)}{parents}deleteall\n{files}\n"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"
