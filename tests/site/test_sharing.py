from __future__ import annotations

import os
import threading
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


def test_each_process_does_its_part() -> None:
    """Every item is done once, by three processes, and what came of it is told in the order of the items."""
    items = list(range(400))
    found = shared(items, lambda number: [number * 2, os.getpid()])
    assert [number for number, _ in found] == [number * 2 for number in items]
    assert len({process for _, process in found}) == 3


def test_what_a_helper_cannot_do_is_done_here() -> None:
    """The part of a process that fails, or is killed, is done again; what it raises is raised here, where it can be told."""
    here = os.getpid()

    def killed(number: int) -> int:
        if os.getpid() != here and number == 201:
            os.kill(os.getpid(), SIGKILL)
        return number

    assert shared(range(400), killed) == list(range(400))

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


def test_a_helper_holds_no_lock() -> None:
    """A helper has no file of its maker open, so no lock outlives the one that took it."""
    with open(os.devnull) as held:  # noqa: PTH123 - any file
        found = shared(range(400), lambda _: [os.getpid(), os.path.exists(f"/proc/self/fd/{held.fileno()}")])  # noqa: PTH110
    assert {is_open for process, is_open in found if process != os.getpid()} == {False}
