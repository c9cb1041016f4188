from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from checks.model import Observation
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of


def backup(folder: Path, name: str, age: float = 0, content: bytes = b"x") -> Path:
    """A file of some age in seconds."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW.timestamp() - age, NOW.timestamp() - age))
    return path


def of(path: Path | str, measure: str) -> dict[str, Any]:
    """A declared file probe."""
    return {"kind": "file", "path": str(path), "measure": measure}


def test_the_newest_match_is_measured(tmp_path: Path) -> None:
    """Age and size are those of the newest of the matching files, whatever their names."""
    backup(tmp_path, "z.sql.gz", 7200, b"x" * 10)
    backup(tmp_path, "a.sql.gz", 3600, b"x" * 20)
    backup(tmp_path, "b.txt", 0, b"x" * 30)
    assert value_of(of(tmp_path / "*.sql.gz", "age"), "h") == 1
    assert value_of(of(tmp_path / "*.sql.gz", "size"), "B") == 20
    assert value_of(of(tmp_path / "*.sql.gz", "count"), "backups") == 2
    seen = measured(of(tmp_path / "*.sql.gz", "age"), "h")
    assert isinstance(seen, Observation)
    assert seen.detail == "a.sql.gz, the newest of 2"


def test_an_empty_backup_has_size_zero(tmp_path: Path) -> None:
    """Zero bytes are measured as zero, for a limit to judge."""
    backup(tmp_path, "a.gz", content=b"")
    assert value_of(of(tmp_path / "a.gz", "size"), "MB") == 0


@pytest.mark.parametrize("measure", ["age", "size"])
def test_no_match_has_no_age_and_no_size(tmp_path: Path, measure: str) -> None:
    """A glob that matches nothing is unknown, never zero."""
    assert reason_of(of(tmp_path / "*.gz", measure)).startswith("no file matches")


def test_no_match_counts_zero_only_in_a_folder_that_is_there(tmp_path: Path) -> None:
    """An empty folder holds no file; a folder that is missing is unknown."""
    assert value_of(of(tmp_path / "*.gz", "count")) == 0
    assert "No such file or directory" in reason_of(of(tmp_path / "gone" / "*.gz", "count"))


def test_folders_are_no_files(tmp_path: Path) -> None:
    """A folder whose name matches is not counted."""
    (tmp_path / "a.gz").mkdir()
    assert value_of(of(tmp_path / "*.gz", "count")) == 0


def test_a_glob_may_reach_deeper(tmp_path: Path) -> None:
    """Two stars match folders of any depth."""
    backup(tmp_path, "x/y/a.gz")
    backup(tmp_path, "b.gz")
    assert value_of(of(tmp_path / "**" / "*.gz", "count")) == 2


def test_a_link_out_of_the_folder_is_no_backup(tmp_path: Path) -> None:
    """A fresh file elsewhere does not pass for a backup by a link; one in the folder does."""
    elsewhere = backup(tmp_path, "elsewhere/fresh.gz", 0)
    old = backup(tmp_path, "backups/old.gz", 7200)
    (tmp_path / "backups" / "new.gz").symlink_to(elsewhere)
    (tmp_path / "backups" / "dangling.gz").symlink_to(tmp_path / "nothing")
    assert value_of(of(tmp_path / "backups" / "*.gz", "age"), "h") == 2
    (tmp_path / "backups" / "latest.gz").symlink_to(old)
    assert value_of(of(tmp_path / "backups" / "*.gz", "count")) == 2


def test_a_settings_special_characters_stand_for_themselves(tmp_path: Path) -> None:
    """Spaces, stars and brackets in a setting are part of a name; only the declaration's are a pattern."""
    odd = tmp_path / "my [backups] *"
    backup(odd, "a.gz")
    backup(odd, "b.gz")
    backup(tmp_path, "my b x/a.gz")
    settled = settings({"backups": str(odd)})
    assert value_of(of("{backups}/*.gz", "count"), settled=settled) == 2
    assert value_of(of("{backups}/a.gz", "count"), settled=settled) == 1
    assert str(odd) in reason_of(of("{backups}/*.zip", "age"), settled=settled)


def test_a_file_from_the_future_is_unknown(tmp_path: Path) -> None:
    """A file written since `now` was taken is new; one dated far ahead means that a clock is wrong."""
    backup(tmp_path, "now.gz", -5)
    assert value_of(of(tmp_path / "now.gz", "age"), "s") == 0
    backup(tmp_path, "ahead.gz", -7200)
    assert "2 h in the future" in reason_of(of(tmp_path / "ahead.gz", "age"), "s")


def test_a_folder_that_may_not_be_read_is_unknown(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A folder without permission is not an empty one."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    request.getfixturevalue("nobody")
    assert "Permission denied" in reason_of(of(closed / "*.gz", "count"))
