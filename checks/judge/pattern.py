"""Patterns of ``matches /…/``, searched for in time that grows with the text and the pattern only, never exponentially.

Python's own ``re`` backtracks: a pattern such as ``(a+)+$`` can hold a kernel for years. Here a pattern becomes a small
automaton whose states are all followed at once (Thompson, "Regular Expression Search Algorithm", 1968). What cannot be
searched for like that (back references, look-around) is not read; what is read means what it means in ``re``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from checks.errors import DataError

LONGEST_PATTERN = 200
LONGEST_TEXT = 2000
_MOST_STATES = 500
_MOST_TIMES = 100
_DEEPEST = 20
_SPECIAL = frozenset(".^$*+?{}[]()|\\")

Accepts = Callable[[str], bool]


class _Act(Enum):
    TAKE = "take"
    FORK = "fork"
    START = "start"
    END = "end"
    EDGE = "edge"
    FOUND = "found"


class _TooLarge(Exception):
    """A pattern repeats so much that its automaton has no end in sight."""


@dataclass(frozen=True, slots=True)
class _State:
    """One state: what it does, and to which it leads."""

    act: _Act
    to: tuple[int, ...] = ()
    accepts: Accepts | None = None


# A part of a pattern, not yet laid out: given the position it begins at, its states; they lead to the one after the last.
_Part = Callable[[int], list[_State]]

_CLASSES: dict[str, Accepts] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda letter: letter.isalnum() or letter == "_",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Pattern:
    """A pattern that can be searched for; see `compile_pattern`."""

    def __init__(self, states: tuple[_State, ...]) -> None:
        self._states = states

    def found_in(self, text: str) -> bool:
        """Whether the pattern is found anywhere in a text; of a longer one, in its first `LONGEST_TEXT` characters."""
        text = text[:LONGEST_TEXT]
        live: set[int] = set()
        for position in range(len(text) + 1):
            live = self._reached({*live, 0}, text, position)
            if any(self._states[number].act is _Act.FOUND for number in live):
                return True
            if position < len(text):
                live = {state.to[0] for state in map(self._states.__getitem__, live) if _takes(state, text[position])}
        return False

    def _reached(self, begun: set[int], text: str, position: int) -> set[int]:
        """The states reached without taking a character."""
        seen = set(begun)
        waiting = list(begun)
        while waiting:
            state = self._states[waiting.pop()]
            if state.act in (_Act.TAKE, _Act.FOUND) or not _holds(state.act, text, position):
                continue
            new = [number for number in state.to if number not in seen]
            seen.update(new)
            waiting += new
        return seen


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    r"""Read a pattern: letters, ``.``, ``[a-z]``, ``\d \w \s \b``, ``^ $``, groups, ``|`` and ``* + ? {2,5}``.

    Raises:
        DataError: it is too long, not of this language, or would need too many states.

    """
    if not 0 < len(text) <= LONGEST_PATTERN:
        raise _refused(text, f"has {len(text)} characters, and may have 1 to {LONGEST_PATTERN}")
    reader = _Reader(text)
    part = reader.choice()
    if reader.rest:
        raise _refused(text, f"`{reader.rest[0]}` closes nothing")
    try:
        states = part(0)
    except _TooLarge:
        raise _refused(text, f"needs more than {_MOST_STATES} states; look for less at once") from None
    return Pattern((*states, _State(_Act.FOUND)))


def _takes(state: _State, letter: str) -> bool:
    return state.accepts is not None and state.accepts(letter)


def _holds(act: _Act, text: str, position: int) -> bool:
    match act:
        case _Act.START:
            return position == 0
        case _Act.END:
            return position == len(text) or (position == len(text) - 1 and text[position] == "\n")
        case _Act.EDGE:
            word = _CLASSES["w"]
            sides = (position > 0 and word(text[position - 1]), position < len(text) and word(text[position]))
            return sides[0] != sides[1]
        case _:
            return True


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    @property
    def rest(self) -> str:
        return self.text[self.at :]

    def fail(self, what: str) -> DataError:
        return _refused(self.text, what)

    def take(self) -> str:
        if not self.rest:
            raise self.fail("ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self) -> _Part:
        parts = [self.sequence()]
        while self.rest.startswith("|"):
            self.at += 1
            parts.append(self.sequence())
        whole = parts[-1]
        for part in reversed(parts[:-1]):
            whole = _either(part, whole)
        return whole

    def sequence(self) -> _Part:
        parts = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self.repeated())
        return _chain(parts)

    def repeated(self) -> _Part:
        anchor = self.rest[0] in "^$" or self.rest[:2] == "\\b"
        part = self.single()
        times = self.times()
        if times is None:
            return part
        if anchor:
            raise self.fail("repeats a place, which has no length")
        low, high = times
        if self.rest[:1] == "?":
            self.at += 1  # which of several finds comes first does not matter to whether there is one
        if self.rest[:1] in ("*", "+") or (self.rest[:1] == "{" and self.times() is not None):
            raise self.fail("repeats a repetition; put the inner one in parentheses")
        if high is None:
            return _chain([*[part] * low, _any_times(part)])
        return _chain([*[part] * low, *[_optional(part)] * (high - low)])

    def times(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self.rest[:1] in simple and self.rest:
            return simple[self.take()]
        if self.rest[:1] != "{":
            return None
        inside, closed, _ = self.rest[1:].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not low.isdecimal() or (high and not high.isdecimal()):
            raise self.fail("has a `{` without a number of times; write `\\{` for the character")
        self.at += len(inside) + 2
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if max(least, most or 0) > _MOST_TIMES or (most is not None and most < least):
            raise self.fail(f"repeats {inside} times; up to {_MOST_TIMES}, the smaller number first")
        return least, most

    def single(self) -> _Part:
        letter = self.take()
        match letter:
            case "^":
                return _step(_Act.START)
            case "$":
                return _step(_Act.END)
            case ".":
                return _taking(lambda seen: seen != "\n")
            case "[":
                return _taking(self.set_())
            case "(":
                return self.group()
            case "\\":
                return self.escaped()
            case _ if letter in _SPECIAL:
                raise self.fail(f"has a `{letter}` where nothing can be repeated; write `\\{letter}` for the character")
            case _:
                return _taking(letter.__eq__)

    def group(self) -> _Part:
        if self.rest.startswith("?"):
            if not self.rest.startswith("?:"):
                raise self.fail("uses `(?…)`, which is not read; only `(?:…)` is")
            self.at += 2
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.fail(f"nests deeper than {_DEEPEST} groups")
        part = self.choice()
        self.depth -= 1
        if not self.rest:
            raise self.fail("has a `(` that is never closed")
        self.at += 1
        return part

    def escaped(self) -> _Part:
        letter = self.take()
        if letter == "b":
            return _step(_Act.EDGE)
        return _taking(self.class_(letter) or self.plain(letter).__eq__)

    def class_(self, letter: str) -> Accepts | None:
        known = _CLASSES.get(letter.lower())
        if known is None or letter.islower():
            return known
        return lambda seen: not known(seen)

    def plain(self, letter: str) -> str:
        """The character that an escape stands for."""
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter.isalnum():
            raise self.fail(f"uses `\\{letter}`, which is not read")
        return letter

    def set_(self) -> Accepts:
        negated = self.rest.startswith("^")
        self.at += negated
        accepted: list[Accepts] = []
        while not self.rest.startswith("]") or not accepted:
            letter = self.take()
            if letter != "\\":
                accepted.append(self.span(letter))
                continue
            escaped = self.take()
            class_ = self.class_(escaped)
            if class_ is not None and self.rest[:1] == "-" and self.rest[1:2] != "]":
                raise self.fail("has a range that begins with a class of letters")
            accepted.append(class_ or self.span(self.plain(escaped)))
        self.at += 1
        return lambda seen: any(accepts(seen) for accepts in accepted) is not negated

    def span(self, low: str) -> Accepts:
        if not self.rest.startswith("-") or self.rest[1:2] in ("]", ""):
            return low.__eq__
        self.at += 1
        high = self.take()
        if high == "\\":
            high = self.plain(self.take())
        if high < low:
            raise self.fail(f"has a range `{low}-{high}` that runs backwards")
        return lambda seen: low <= seen <= high


def _step(act: _Act) -> _Part:
    return lambda at: [_State(act, (at + 1,))]


def _taking(accepts: Accepts) -> _Part:
    return lambda at: [_State(_Act.TAKE, (at + 1,), accepts)]


def _laid(parts: list[_Part], at: int) -> Iterator[_State]:
    for part in parts:
        for state in part(at):
            if at >= _MOST_STATES:
                raise _TooLarge
            yield state
            at += 1


def _chain(parts: list[_Part]) -> _Part:
    # Nothing is one state too, so that repeating it is counted and cannot run away.
    return lambda at: list(_laid(parts or [_step(_Act.FORK)], at))


def _either(one: _Part, other: _Part) -> _Part:
    def lay(at: int) -> list[_State]:
        first = one(at + 1)
        second_at = at + 2 + len(first)
        second = other(second_at)
        after = second_at + len(second)
        return [_State(_Act.FORK, (at + 1, second_at)), *first, _State(_Act.FORK, (after,)), *second]

    return lay


def _optional(part: _Part) -> _Part:
    def lay(at: int) -> list[_State]:
        inside = part(at + 1)
        return [_State(_Act.FORK, (at + 1, at + 1 + len(inside))), *inside]

    return lay


def _any_times(part: _Part) -> _Part:
    def lay(at: int) -> list[_State]:
        inside = part(at + 1)
        return [_State(_Act.FORK, (at + 1, at + 2 + len(inside))), *inside, _State(_Act.FORK, (at,))]

    return lay


def _refused(text: str, what: str) -> DataError:
    return DataError(
        f"the pattern /{text}/ {what}",
        expected="letters, `.`, sets such as [0-9], \\d \\w \\s \\b, ^ and $, groups, | and the repetitions * + ? {2,5}",
        found=text,
        remedy="write it in that language",
        example=r"matches /^v\d+\.\d+\.\d+$/",
    )
