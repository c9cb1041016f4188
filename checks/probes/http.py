"""What is taken from the answer to a request: a number in JSON, text or a header, a time, a status, availability."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, assert_never

from checks.catalogue.environment import Settled
from checks.judge import TEXT_UNIT
from checks.judge.pattern import compile_pattern
from checks.model import Observation, Unmeasured
from checks.probes._counted import counted
from checks.probes._http import Answer, NoAnswer, Request, ask
from checks.probes._support import Measuring, clipped, select, statistic

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import HttpProbe

_REDIRECTS = 5
_REDIRECTS_COUNTED = 20
_REPEATED = ("time", "availability")
_HEADER_UNITS = {"content-length": "B", "age": "s"}


def probe(declaration: HttpProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Send the request, `repeat` times where that is measured, each within `timeout`; see `HttpProbe`."""
    request = _request(declaration, settled)
    taken = declaration.select or declaration.header or (declaration.match if declaration.measure == "text" else None)
    if declaration.part != "total":
        taken = f"time of {declaration.part}"
    measuring = Measuring(now, request.shown + (f" → {taken}" if taken else ""), settled)
    try:
        answers = ask(request, declaration.repeat if declaration.measure in _REPEATED else 1)
        if declaration.measure == "time":
            return _time(answers, declaration, measuring, request.shown)
        if declaration.measure == "availability":
            return _availability(answers, measuring)
        answer = answers[0]
        if isinstance(answer, NoAnswer):
            return measuring.failed(f"{request.shown}: {answer.reason}")
        if declaration.measure == "status":
            return measuring.gave(answer.status, "")
        if answer.status >= 300:
            return measuring.failed(f"{request.shown} was answered with HTTP status {answer.status}")
        match declaration.measure:
            case "redirects":
                return measuring.gave(answer.redirects, "")
            case "json":
                return _json(answer, declaration, measuring, request.shown, unit)
            case "text":
                return _found(answer.text, "the text", declaration, measuring, unit)
            case "header":
                return _header(answer, declaration, measuring, unit)
            case _:
                assert_never(declaration.measure)
    except TimeoutError:
        return measuring.failed(f"{request.shown} did not end within {request.seconds:g} s")


def _request(declaration: HttpProbe, settled: Settled) -> Request:
    follows = {"redirects": _REDIRECTS_COUNTED, "time": 0, "availability": 0, "status": 0}
    headers = {name: settled.fill(value) for name, value in declaration.headers.items()}
    if declaration.measure == "header":
        headers = {"Accept-Encoding": "identity", **headers}  # a packed answer has another length, or none
    return Request(
        method=declaration.method,
        url=settled.fill(declaration.url),
        headers=headers,
        settled=settled,
        seconds=declaration.timeout.total_seconds(),
        follows=follows.get(declaration.measure, _REDIRECTS),
        authority=settled.fill(declaration.authority) if declaration.authority else None,
    )


def _json(answer: Answer, declaration: HttpProbe, measuring: Measuring, shown: str, unit: str) -> Observation | Unmeasured:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "text/plain" and not kind.endswith(("/json", "+json")):
        return measuring.failed(f"the answer is {clipped(kind, 60)}, not JSON: {shown}")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = clipped(answer.body[:200].decode("utf-8", "replace"), 60)
        return measuring.failed(f"the answer of {shown} cannot be read as JSON: {said or 'it is empty'}")
    return counted(select(str(declaration.select), document, measuring, unit), declaration.samples, document, measuring)


def _header(answer: Answer, declaration: HttpProbe, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    name = str(declaration.header).lower()
    value = answer.headers.get(name)
    if value is None:
        return measuring.failed(f"the header {name} is missing in the answer of {measuring.source.rsplit(' → ', 1)[0]}")
    if declaration.match:
        return _found(value, f"the header {name}", declaration, measuring, unit)
    if unit == TEXT_UNIT:
        return measuring.gave(value, unit, name=f"the header {name}")
    try:
        return measuring.gave(float(value), _HEADER_UNITS.get(name, unit), name=f"the header {name}")
    except ValueError:
        pass  # then it may be a date
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return measuring.failed(
            f"the header {name} is {clipped(value, 60)!r}, neither a number nor a date, in {measuring.source}"
        )
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return measuring.gave((measuring.now - at).total_seconds(), "s", clipped(value, 60))


def _found(text: str, what: str, declaration: HttpProbe, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    """The number or text in the pattern's first group; of a pattern without a group, whether it is found, or the text found."""
    pattern = str(declaration.match)
    compiled = compile_pattern(pattern, lines=True)
    groups = compiled.search(text)
    if compiled.groups == 0 and unit == TEXT_UNIT and groups:
        return measuring.gave(groups[0], unit, name=what)
    if compiled.groups == 0 and unit != TEXT_UNIT:
        return measuring.gave(groups is not None, "", clipped(str(groups[0]), 60) if groups else "")
    if groups is None or compiled.groups == 0 or groups[1] is None:
        return measuring.failed(f"{what} has nothing that matches {pattern}: {measuring.source}")
    if unit == TEXT_UNIT:
        return measuring.gave(groups[1], unit, name=what)
    try:
        return measuring.gave(float(groups[1].strip()), unit, clipped(str(groups[0]), 60), name=what)
    except ValueError:
        return measuring.failed(
            f"the group of {pattern} is the text {clipped(groups[1], 40)!r}, not a number, in {measuring.source}"
        )


def _time(answers: list[Answer | NoAnswer], declaration: HttpProbe, measuring: Measuring, shown: str) -> Observation | Unmeasured:
    well = [answer for answer in answers if isinstance(answer, Answer) and answer.status < 400]
    asked = len(answers)
    # An error page is quick; were it timed, a system that only fails would look fast.
    if len(well) * 2 <= asked or asked * 2 <= declaration.repeat:
        return measuring.failed(
            f"only {len(well)} of {declaration.repeat} requests were answered well: {_first_fault(answers) or shown}"
        )
    part = declaration.part.replace("-", "_")
    times = [seconds for answer in well if (seconds := getattr(answer.times, part)) is not None]
    if not times:
        why = {"dns": "its host is an address, so no name was looked up", "tls": "it is not encrypted"}
        return measuring.failed(f"{shown} has no time of {declaration.part}: {why.get(declaration.part, 'it was not seen')}")
    detail = f"{declaration.statistic} of {len(times)} requests" if declaration.repeat > 1 else ""
    faults = asked - len(well)
    detail += f", {faults} more failed" if faults else ""
    return measuring.gave(statistic(times, declaration.statistic), "s", detail, samples=len(times))


def _availability(answers: list[Answer | NoAnswer], measuring: Measuring) -> Observation | Unmeasured:
    well = sum(isinstance(answer, Answer) and answer.status < 400 for answer in answers)
    fault = _first_fault(answers)
    detail = f"{well} of {len(answers)} requests" + (f"; {fault}" if fault else "")
    return measuring.gave(100 * well / len(answers), "%", detail, samples=len(answers))


def _first_fault(answers: list[Answer | NoAnswer]) -> str:
    for answer in answers:
        if isinstance(answer, NoAnswer):
            return answer.reason
        if answer.status >= 400:
            return f"HTTP status {answer.status}"
    return ""
