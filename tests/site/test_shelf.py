from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread

import pytest

from checks.errors import Busy, Refused
from checks.site.shelf import Shelf


def put(shelf: Shelf, text: str = "") -> int:
    """One publication of one page, shown to readers; gives its number."""
    with shelf.only_publisher():
        with shelf.building() as (number, aside):
            (aside / "index.html").write_text(text or f"publication {number}")
        shelf.manifest(number).write_text("{}")
        shelf.swap(number)
    return number


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with three publications."""
    shelf = Shelf(tmp_path / "public")
    assert [put(shelf) for _ in range(3)] == [1, 2, 3]
    return shelf


def test_going_back_shows_the_one_before(shelf: Shelf) -> None:
    """Going back shows the publication before the current one, twice if asked twice, and says so; then there is none left."""
    assert (shelf.roll_back(), shelf.index.read_text()) == (2, "publication 2")
    assert (shelf.roll_back(), shelf.index.read_text()) == (1, "publication 1")
    with pytest.raises(Refused, match="no publication to go back to"):
        shelf.roll_back()
    assert shelf.current() == 1


def test_what_was_withdrawn_is_not_gone_back_to(shelf: Shelf) -> None:
    """A publication that was taken back stays withdrawn: the next one has a new number, and goes back to the good one."""
    assert shelf.roll_back() == 2
    assert put(shelf) == 4
    assert shelf.roll_back() == 2


def test_nothing_published_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    """Before the first publication going back is refused."""
    shelf = Shelf(tmp_path)
    with shelf.only_publisher(), pytest.raises(Refused, match="nothing is published"):
        shelf.roll_back()


def test_an_older_publication_that_ends_late_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two machines that share the folder the one that began first and ends last is refused, and leaves nothing."""
    # Their locks do not reach each other; the number was claimed before the other one began.
    with shelf.building() as (older, aside):
        (aside / "index.html").write_text("old news")
        monkeypatch.setattr("checks.site.shelf._machine", lambda: "elsewhere")
        assert put(Shelf(shelf.to)) == older + 1
    with pytest.raises(Refused, match=rf"publication {older} is late: readers see {older + 1}"):
        shelf.swap(older)
    assert shelf.index.read_text() == f"publication {older + 1}"
    assert older not in shelf.numbers()


def test_a_folder_of_another_machine_is_left_alone(shelf: Shelf) -> None:
    """What another machine builds in is not taken for the remains of a publisher that was killed; one's own is."""
    theirs, ours = shelf.home / ".building-0009-17-elsewhere", shelf.home / ".building-killed"
    theirs.mkdir()
    ours.mkdir()
    put(shelf)
    assert theirs.exists()
    assert not ours.exists()


def test_a_number_is_claimed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many machines claim at the same time, each gets a number of its own."""
    shelf = Shelf(tmp_path)
    shelf.home.mkdir(parents=True)
    monkeypatch.setattr("checks.site.shelf._machine", lambda: current_thread().name)

    def claim(_: int) -> int:
        with shelf.building() as (number, aside):
            (aside / "index.html").write_text("x")
        return number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(claim, range(16)))
    assert sorted(numbers) == list(range(1, 17))


def test_a_publication_that_fails_leaves_nothing(shelf: Shelf) -> None:
    """If building fails, what is shown stays, nothing is left behind, and the number is free again."""
    before = sorted(shelf.to.rglob("*"))

    def fail() -> None:
        with shelf.only_publisher(), shelf.building() as (number, aside):
            assert number == 4
            (aside / "half.html").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert sorted(shelf.to.rglob("*")) == before
    assert put(shelf) == 4


def test_three_stay(shelf: Shelf) -> None:
    """Three publications stay, with what was noted about them; older ones go."""
    put(shelf)
    put(shelf)
    assert shelf.numbers() == [3, 4, 5]
    assert sorted(path.name for path in shelf.manifest(1).parent.iterdir()) == ["0003.json", "0004.json", "0005.json"]


def test_one_publisher_at_a_time(shelf: Shelf) -> None:
    """A second publisher on the same machine is told to wait."""
    with shelf.only_publisher(), pytest.raises(Busy, match="another publisher"):
        put(Shelf(shelf.to))
