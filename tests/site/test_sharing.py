from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import psutil
import pytest

from checks.site import sharing
from checks.site.sharing import shared


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processors, and a process of one thread."""
    monkeypatch.setattr(sharing, "_processors", lambda: 3)
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def _until(there: Callable[[], bool]) -> Callable[[], None]:
    """Wait, at most ten seconds, until something is there."""

    def wait() -> None:
        until = time.monotonic() + 10
        while not there() and time.monotonic() < until:
            time.sleep(0.005)

    return wait


def test_each_process_does_its_part(tmp_path: Path) -> None:
    """Every item is done once, by three processes, and what came of it is told in the order of the items."""

    def do(number: int) -> list[int]:
        (tmp_path / str(os.getpid())).touch()
        # Nobody goes on before all are at work.
        _until(lambda: len(list(tmp_path.iterdir())) == 3)()
        return [number * 2, os.getpid()]

    found = shared(range(400), do)
    assert [number for number, _ in found] == [number * 2 for number in range(400)]
    assert len({process for _, process in found}) == 3


def test_neighbours_are_done_by_one_process() -> None:
    """A part is a row of neighbours, and whoever does it is told of all of them first."""
    known: list[int] = []
    found = shared(range(400), lambda number: [os.getpid(), number in known], first=known.extend)
    assert all(told for _, told in found)
    changes = sum(before != after for (before, _), (after, _) in itertools.pairwise(found))
    assert changes < 3 * 4


def test_what_a_helper_cannot_do_is_done_here(tmp_path: Path) -> None:
    """The parts of a process that fails, or is killed, are done again; what it raises is raised here, where it can be told."""
    here = os.getpid()

    def killed(number: int) -> int:
        if os.getpid() != here:
            (tmp_path / "at work").touch()
            os.kill(os.getpid(), SIGKILL)
        return number

    assert shared(range(400), killed, meanwhile=_until((tmp_path / "at work").exists)) == list(range(400))
    assert (tmp_path / "at work").exists()

    def refuse(number: int) -> int:
        if number == 202:
            raise LookupError("page 202 asks for what is not known")
        return number

    with pytest.raises(LookupError, match="page 202"):
        shared(range(400), refuse)


def test_no_process_stays() -> None:
    """Whether it went well or not, every process that was started has ended and was taken leave of."""
    before = {child.pid for child in psutil.Process().children()}
    shared(range(400), str)
    with pytest.raises(ZeroDivisionError):
        shared(range(400), lambda number: 1 / number)
    assert {child.pid for child in psutil.Process().children()} <= before


def test_little_is_done_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few items, a process of several threads, and whoever must be alone have no helpers."""
    assert set(shared(range(60), lambda _: os.getpid())) == {os.getpid()}
    assert set(shared(range(400), lambda _: os.getpid(), alone=True)) == {os.getpid()}
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert set(shared(range(400), lambda _: os.getpid())) == {os.getpid()}


def test_a_helper_holds_no_lock(tmp_path: Path) -> None:
    """A helper has no file of its maker open, so no lock outlives the one that took it."""
    here, began = os.getpid(), tmp_path / "began"

    def do(_: int) -> list[object]:
        if os.getpid() != here:
            began.touch()
        return [os.getpid(), os.path.exists(f"/proc/self/fd/{held.fileno()}")]  # noqa: PTH110

    with open(os.devnull) as held:  # noqa: PTH123 - any file
        found = shared(range(400), do, meanwhile=_until(began.exists))
    assert {is_open for process, is_open in found if process != here} == {False}
