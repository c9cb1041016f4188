"""What differs between a recorded run and its repetition, in words: pure, from the two runs and their notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from checks.judge import format_value
from checks.run.payload import MIME

if TYPE_CHECKING:
    from checks.model import Run
    from checks.run.ends import Outcome

_LONGEST = 60
# What is another one at every execution, and tells nothing: times of day, durations, addresses, private folders.
_PASSING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?|\b0x[0-9a-f]{6,}\b|proofbook-[a-z0-9_]{8}\b"
)
_CONTEXT = ("python", "platform", "context", "limits")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        what: what it is, in a few words.
        then: as the run had it; `now`: as its repetition has it. One that has it not says ``-``.

    """

    what: str
    then: str
    now: str


def between(run: Run, notebook: Mapping[str, Any], outcome: Outcome) -> tuple[Difference, ...]:
    """What differs between a run and its repetition.

    Args:
        run: the run.
        notebook: its evidence as JSON; empty where there is none, and then its results and outputs cannot be compared.
        outcome: the repetition.

    """
    again = json.loads(outcome.evidence) if outcome.evidence else {}
    found = [*_context(run, notebook, outcome.run, again), *_ending(run, outcome.run)]
    if notebook:
        found += [*_results(notebook, again), *_outputs(notebook, again)]
    else:
        found.append(Difference("evidence", "not kept", "kept" if again else "not kept"))
    return tuple(found)


def _context(run: Run, notebook: Mapping[str, Any], now: Run, again: Mapping[str, Any]) -> Iterator[Difference]:
    if run.host != now.host:
        yield Difference("host", run.host or "-", now.host)
    for name in _CONTEXT:
        then, today = run.made_with.get(name), now.made_with.get(name)
        if then != today:
            yield Difference(name, _short(then), _short(today))
    if run.basis.get("settings") != now.basis.get("settings"):
        yield Difference("settings", "another value", "at least one has changed, or its secret has")
    if run.basis.get("packages") != now.basis.get("packages"):
        then, today = (set(_block(one).get("packages", ())) for one in (notebook, again))
        gone, new = ", ".join(sorted(then - today)), ", ".join(sorted(today - then))
        yield Difference("packages", _short(gone or "Proofbook's own code"), _short(new or "Proofbook's own code"))


def _ending(then: Run, now: Run) -> Iterator[Difference]:
    pairs = {
        "state": (then.state.value, now.state.value),
        "status": (then.status.value, now.status.value),
        "reason": (then.reason, now.reason),
    }
    for name, (before, after) in pairs.items():
        if _lasting(before) != _lasting(after):
            yield Difference(name, _short(before), _short(after))


def _results(notebook: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[Difference]:
    then, now = _payloads(notebook), _payloads(again)
    for key in dict.fromkeys([*then, *now]):
        before, after = then.get(key), now.get(key)
        told = tuple("-" if one is None else f"{one['status']}, {_value(one)}" for one in (before, after))
        if told[0] != told[1]:
            metric, number = key
            yield Difference(f"result {metric}" + (f" ({number})" if number > 1 else ""), *told)


def _outputs(notebook: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[Difference]:
    cells = zip_longest(notebook["cells"], again.get("cells", ()))
    for position, (before, after) in enumerate(cells):
        then, now = (_said(cell) for cell in (before, after))
        for one, other in zip_longest(then, now):
            if one is None or other is None or _lasting(one) != _lasting(other):
                step = ((after or before).get("metadata", {}).get("proofbook", {})).get("step", "-")
                yield Difference(f"output of step {step}, cell {position}", _short(one), _short(other))
                break


def _block(notebook: Mapping[str, Any]) -> Mapping[str, Any]:
    block: Mapping[str, Any] = notebook.get("metadata", {}).get("proofbook", {})
    return block


def _payloads(notebook: Mapping[str, Any]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The results by metric and how often it had been judged by then."""
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for cell in notebook.get("cells", ()):
        for output in cell.get("outputs", ()):
            payload = output.get("data", {}).get(MIME)
            if isinstance(payload, Mapping) and "metric" in payload:
                number = 1 + sum(metric == payload["metric"] for metric, _ in found)
                found[payload["metric"], number] = payload
    return found


def _value(payload: Mapping[str, Any]) -> str:
    seen = payload.get("observation")
    return format_value(seen["value"], seen["unit"]) if seen else str(payload.get("reason", ""))


def _said(cell: Mapping[str, Any] | None) -> Sequence[str]:
    """What a cell said in lines, its results left out: those are compared as results."""
    text = []
    for output in (cell or {}).get("outputs", ()):
        data = output.get("data", {})
        if MIME not in data:
            text.append(output.get("text") or data.get("text/plain") or output.get("evalue") or ", ".join(sorted(data)))
    return "".join("".join(one) if isinstance(one, list) else one for one in text).splitlines()


def _lasting(text: str) -> str:
    return _PASSING.sub("…", text)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value) if value is not None else ""
    text = " ".join(text.split()) or "-"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
