"""The dead-man signal."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from checks.schedule.alive import Teller, tell
from tests.journal.samples import NOW


def test_a_file_is_touched(tmp_path: Path) -> None:
    """The file's text and age say when the scheduler last lived; it is never half written, and nothing is left beside it."""
    place = tmp_path / "run" / "alive"
    assert tell(str(place), NOW) == ""
    assert place.read_text() == "2026-03-02T09:00:00+00:00\n"
    assert [path.name for path in place.parent.iterdir()] == ["alive"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Why no sign could be given is said, and it is no error of the schedule."""
    (tmp_path / "full").write_text("")
    assert "cannot be written" in tell(str(tmp_path / "full" / "alive"), NOW)


def test_an_address_is_asked(httpserver: HTTPServer) -> None:
    """An address hears one request; that it refuses is told by its status, without the address, which may be a secret."""
    httpserver.expect_oneshot_request("/ping/s3cret").respond_with_data("OK")
    assert tell(httpserver.url_for("/ping/s3cret"), NOW) == ""
    httpserver.expect_oneshot_request("/ping/s3cret").respond_with_data("no", status=404)
    assert tell(httpserver.url_for("/ping/s3cret"), NOW) == "the address of `alive` answered HTTP status 404"


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/s3cret", "http://[::1/s3cret"])
def test_an_address_that_is_silent_is_told(place: str) -> None:
    """An address that does not answer, or is none, is told without being shown."""
    told = tell(place, NOW)
    assert "did not answer" in told
    assert "s3cret" not in told


def test_nobody_need_be_told(tmp_path: Path) -> None:
    """Without a place nothing is done; with one the telling is done beside the schedule."""
    assert tell("", NOW) == ""
    Teller("").tell(NOW)
    teller = Teller(str(tmp_path / "alive"))
    teller.tell(NOW)
    assert teller._telling is not None
    teller._telling.join(10)
    assert (tmp_path / "alive").exists()
    assert teller.trouble == ""
