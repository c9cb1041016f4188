"""The theme's part of a build is shared among processes, and nothing that one of them says is lost."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pytest
from mkdocs.commands import build

from checks.site import sharing
from checks.site.rendering import share
from checks.site.touched import Touched

NUMBER = 200


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Pages of a build on a machine with two processors."""
    monkeypatch.setattr(sharing, "_processors", lambda: 2)
    # Of the tests before, one may have left a thread behind; a builder has none.
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    included = SimpleNamespace(is_excluded=lambda: False)
    files = [SimpleNamespace(src_uri=f"{number}.md", inclusion=included) for number in range(NUMBER)]
    for file in files:
        file.page = SimpleNamespace(file=file)
    return files


def built(pages: list[Any], touched: Touched) -> None:
    """Build pages as MkDocs' own loop does."""
    share(touched)
    unused: Any = None
    for file in pages:
        build._build_page(file.page, unused, pages, unused, unused, False, excluded=False)


def test_each_page_is_written_once(pages: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is written by one of two processes, but for one that is left; what the search saw of each is known here."""

    def write(page: Any, *_: Any, **__: Any) -> None:
        with (tmp_path / page.file.src_uri).open("a") as out:
            out.write(f"{os.getpid()}\n")
        # However late another process begins, it comes to write some of them.
        while os.getpid() == here and len(list(tmp_path.iterdir())) == len(entries) + 1 and monotonic() < until:
            sleep(0.01)
        entries.append(page.file.src_uri)
        touched.indexed(page, entries)

    entries: list[str] = []
    here, until = os.getpid(), monotonic() + 30
    monkeypatch.setattr(build, "_build_page", write)
    touched = Touched({}, tmp_path / "notes")
    touched._left["7.md"] = {}
    built(pages, touched)
    written = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    assert written.keys() == {file.src_uri for file in pages} - {"7.md"}
    assert {len(by) for by in written.values()} == {1}
    assert {by[0] for by in written.values()} > {str(os.getpid())}
    assert all(touched.seen_of(name) == [name] for name in written)


def test_what_is_complained_of_is_counted(
    pages: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning about any page is given once by the process that counts them, whichever one rendered it first."""
    log = logging.getLogger("mkdocs.plugins.any")
    monkeypatch.setattr(build, "_build_page", lambda page, *_, **__: log.warning("%s is odd", page.file.src_uri))
    built(pages, Touched({}, Path("notes")))
    assert sorted(record.getMessage() for record in caplog.records) == sorted(f"{file.src_uri} is odd" for file in pages)


def test_what_fails_is_told(pages: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot be rendered fails the build, whichever process comes upon it."""

    def write(page: Any, *_: Any, **__: Any) -> None:
        if page.file.src_uri == f"{NUMBER - 1}.md":
            raise ValueError("no such template")

    monkeypatch.setattr(build, "_build_page", write)
    with pytest.raises(ValueError, match="no such template"):
        built(pages, Touched({}, Path("notes")))
