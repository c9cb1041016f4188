"""Publishing that stays, and publishes again when there is something new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from checks.cli import _following
from checks.errors import Busy, DataError


class _Publisher:
    """Gives what is to be seen look by look, and counts what is published of it; after the last look somebody presses Ctrl-C."""

    number, rewritten = 7, 2

    def __init__(self, looks: list[str], refused: dict[str, list[Exception]]) -> None:
        self._looks = iter(looks)
        self._refused = refused
        self._seen = ""
        self.published: list[str] = []

    def look(self) -> str:
        try:
            self._seen = next(self._looks)
        except StopIteration:
            raise KeyboardInterrupt from None
        return self._seen

    def again(self) -> Any:
        if waiting := self._refused.get(self._seen):
            raise waiting.pop(0)
        self.published.append(self._seen)
        return self


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What was published of what was to be seen, without waiting between looks."""
    monkeypatch.setattr(_following, "_EVERY", 0)

    def follow(*looks: str, **refused: list[Exception]) -> list[str]:
        publisher = _Publisher(list(looks), refused)
        _following.follow(publisher.look, publisher.again)
        return publisher.published

    return follow


def test_only_what_is_new_is_published(followed: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was written, nothing is published; each publication is told in a line."""
    assert followed("a", "a", "b", "b", "b", "c") == ["b", "c"]
    assert capsys.readouterr().out.startswith("publication 7, 2 pages written anew in ")


def test_drawings_move_on(followed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes it is published again, as drawings have moved on."""
    times: Iterator[float] = iter([0.0, 599.0, 600.0, 600.0, 600.5, 1199.0])
    monkeypatch.setattr(_following, "monotonic", lambda: next(times))
    assert followed("a", "a", "a", "a") == ["a"]


def test_what_is_refused_is_said_once_and_tried_again(
    followed: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another publisher is waited for at every look; text that does not build waits for the next change."""
    busy = [Busy("another publisher is at work") for _ in range(3)]
    assert followed("a", "b", "b", "b", "b", "b", b=list(busy)) == ["b"]
    assert capsys.readouterr().err.count("another publisher is at work") == 1
    assert followed("a", "b", "b", "c", b=[DataError("the site cannot be built")]) == ["c"]
    assert "the site cannot be built" in capsys.readouterr().err
