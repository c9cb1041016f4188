"""The folder that a publication is written into, which holds the files of an older one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks.site.folder import Folder
from checks.site.kept import Stamp


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder that an older publication left."""
    folder = tmp_path / "old"
    (folder / "systems").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"what was said before, at length")
    (folder / "systems" / "shop.html").write_bytes(b"shop")
    return folder


def test_a_file_that_nobody_else_has_is_written_into(old: Path) -> None:
    """What is written anew is the same file with other bytes, no more of them than there are now."""
    before = (old / "index.html").stat().st_ino
    stamp = Folder(old).put("index.html", b"new")
    assert (old / "index.html").read_bytes() == b"new"
    assert (old / "index.html").stat().st_ino == before
    assert stamp == Stamp.of(old / "index.html")


def test_what_another_publication_has_stays_as_it_is(old: Path, tmp_path: Path) -> None:
    """A file that stands at two addresses keeps its bytes at the other one."""
    shown = tmp_path / "shown.html"
    shown.hardlink_to(old / "index.html")
    Folder(old).put("index.html", b"new")
    assert (old / "index.html").read_bytes() == b"new"
    assert shown.read_bytes() == b"what was said before, at length"


def test_a_reader_who_has_a_file_open_reads_it_to_its_end(old: Path) -> None:
    """Somebody who got a page before it was put away never reads half of it and half of the next one."""
    with (old / "index.html").open("rb", buffering=0) as reading:
        assert reading.read(8) == b"what was"
        Folder(old).put("index.html", b"something else that is longer than what was said before")
        assert reading.read() == b" said before, at length"
    assert (old / "index.html").read_bytes().startswith(b"something else")


def test_nothing_is_written_through_a_symbolic_link(old: Path, tmp_path: Path) -> None:
    """What a symbolic link points to is nobody's page."""
    (tmp_path / "precious").write_bytes(b"precious")
    (old / "note.html").symlink_to(tmp_path / "precious")
    Folder(old).put("note.html", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (old / "note.html").read_bytes() == b"new"
    assert not (old / "note.html").is_symlink()


def test_a_file_is_taken_over_as_it_was_written_or_not_at_all(old: Path, tmp_path: Path) -> None:
    """A file that somebody changed since is refused; one that is as it was becomes the same file."""
    source = tmp_path / "shop.html"
    source.write_bytes(b"the shop is well")
    stamp = Stamp.of(source)
    assert stamp is not None
    folder = Folder(old)
    assert folder.take_over(str(source), "systems/shop.html", stamp)
    assert (old / "systems" / "shop.html").stat().st_ino == source.stat().st_ino
    source.write_bytes(b"the shop is ill!")
    os.utime(source, ns=(stamp.changed_ns + 1, stamp.changed_ns + 1))
    assert not Folder(old).take_over(str(source), "systems/shop.html", stamp)
    assert not Folder(old).take_over(str(tmp_path / "absent"), "systems/shop.html", stamp)


def test_what_is_not_wanted_any_more_is_cleared_away(old: Path) -> None:
    """Files of the older publication go where the new one has none, and folders that are empty then."""
    folder = Folder(old)
    folder.put("index.html", b"new")
    folder.put("reports/daily.html", b"daily")
    folder.clear()
    assert sorted(path.relative_to(old).as_posix() for path in old.rglob("*")) == ["index.html", "reports", "reports/daily.html"]


def test_files_and_folders_change_places(old: Path) -> None:
    """A page may stand where a folder was, and a folder where a page was."""
    folder = Folder(old)
    folder.put("systems", b"a page")
    folder.put("index.html/deep.html", b"deep")
    folder.clear()
    assert (old / "systems").read_bytes() == b"a page"
    assert (old / "index.html" / "deep.html").read_bytes() == b"deep"
