"""One number by a PromQL query: the value now, alone or with the server's own history of it, or a statistic of that."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._http import Answer, NoAnswer, Request, ask
from checks.probes._support import Measuring, clipped, statistic
from checks.probes._targets import without_userinfo

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import PrometheusProbe

_STEPS = 60
_MOST_STEPS = 10_000  # Prometheus itself gives no more than 11,000
# Between two steps a sample may come late; a gap wider than this many steps is history that is missing.
_GAP = 2


class _NoFigure(Exception):
    """The answer holds no number that is meant; its text is the reason."""


def probe(declaration: PrometheusProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask a Prometheus server for one number; see `PrometheusProbe`."""
    if declaration.range is None:
        return _asked(declaration, settled, now, "", {"time": f"{now.timestamp():.3f}"}, partial(_current, unit=unit))
    step = declaration.step or declaration.range / _STEPS
    span = f", {declaration.statistic} of the last {_shown(declaration.range)}"
    return _asked(declaration, settled, now, span, _range(now - declaration.range, now, step), partial(_summed_up, unit=unit))


def recall(
    declaration: PrometheusProbe, settled: Settled, unit: str, now: datetime, since: datetime, every: timedelta
) -> Observation | Unmeasured:
    """Ask for the value now and for those before it, so that windows and baselines rest on the server's own history.

    Args:
        declaration: with a `range` of its own it is a statistic, which has no history here.
        settled: the environment's settings.
        unit: the metric's unit.
        now: the time of the value.
        since: from when on earlier values are needed.
        every: how far apart; of very many the latest are asked for.

    """
    if declaration.range is not None:
        return probe(declaration, settled, unit, now)
    steps = min(math.ceil((now - since) / every), _MOST_STEPS)
    return _asked(
        declaration, settled, now, "", _range(now - steps * every, now, every), partial(_remembered, unit=unit, every=every)
    )


def _asked(
    declaration: PrometheusProbe,
    settled: Settled,
    now: datetime,
    span: str,
    times: dict[str, str],
    taken: Callable[[PrometheusProbe, Measuring, dict[str, Any]], Observation | Unmeasured],
) -> Observation | Unmeasured:
    """Ask once, and take the observation out of what the server answers."""
    url, query = settled.fill(declaration.url).rstrip("/"), settled.fill(declaration.query)
    path = "query" if "time" in times else "query_range"
    parameters = {"query": query, "timeout": f"{declaration.timeout.total_seconds():g}s", **times}
    measuring = Measuring(now, f"{without_userinfo(url)} → {clipped(query, 160)}{span}", settled)
    request = Request(
        method="GET",
        url=f"{url}/api/v1/{path}?{urlencode(parameters)}",
        headers={name: settled.fill(value) for name, value in declaration.headers.items()},
        settled=settled,
        seconds=declaration.timeout.total_seconds(),
        authority=settled.fill(declaration.authority) if declaration.authority else None,
    )
    try:
        answer = ask(request)[0]
        if isinstance(answer, NoAnswer):
            return measuring.failed(f"{measuring.source}: {answer.reason}")
        return taken(declaration, measuring, _data(answer))
    except TimeoutError:
        return measuring.late(request.seconds)
    except _NoFigure as error:
        return measuring.failed(f"{measuring.source}: {error}")


def _range(start: datetime, end: datetime, step: timedelta) -> dict[str, str]:
    times = {name: f"{moment.timestamp():.3f}" for name, moment in (("start", start), ("end", end))}
    return times | {"step": f"{step.total_seconds():g}"}


def _current(_: PrometheusProbe, measuring: Measuring, data: dict[str, Any], *, unit: str) -> Observation | Unmeasured:
    kind, result = data.get("resultType"), data.get("result")
    try:
        if kind == "scalar":
            return measuring.gave(_number(result), unit, name="the query's value")
        series = _only_series(kind, result)
        if kind == "matrix":
            raise _NoFigure("the query gives a range of values; take one, as by last_over_time(…)")
        return measuring.gave(_number(series["value"]), unit, name="the query's value")
    except (LookupError, TypeError, ValueError) as error:
        raise _NoFigure("its answer is not what Prometheus gives") from error


def _summed_up(
    declaration: PrometheusProbe, measuring: Measuring, data: dict[str, Any], *, unit: str
) -> Observation | Unmeasured:
    span = declaration.range or timedelta(0)
    step = declaration.step or span / _STEPS
    samples = _samples(data)
    for sample in samples:
        _number(sample)
    _refuse_gaps([float(at) for at, _ in samples], measuring.now, span, step)
    values = [float(value) for _, value in samples]
    detail = f"{declaration.statistic} of {len(values):,} values, {_shown(step)} apart"
    return measuring.gave(statistic(values, declaration.statistic), unit, detail, samples=len(values))


def _remembered(
    _: PrometheusProbe, measuring: Measuring, data: dict[str, Any], *, unit: str, every: timedelta
) -> Observation | Unmeasured:
    samples = _samples(data)
    if not samples or abs(float(samples[-1][0]) - measuring.now.timestamp()) > every.total_seconds() / 2:
        raise _NoFigure("no series matches, so there is no value")
    # A value that is no number is a gap in the history, as one that was not scraped.
    numbers = [(datetime.fromtimestamp(float(at), UTC), float(value)) for at, value in samples[:-1]]
    past = tuple((at, value) for at, value in numbers if math.isfinite(value))
    detail = f"after {len(past):,} values of the server's own history, {_shown(every)} apart"
    seen = measuring.gave(_number(samples[-1]), unit, detail, name="the query's value")
    return seen if isinstance(seen, Unmeasured) else replace(seen, past=past)


def _data(answer: Answer) -> dict[str, Any]:
    """The data of an answer that is whole and free of warnings."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
        raise _NoFigure(f"it answered with HTTP status {answer.status} and not as Prometheus does")
    if document["status"] == "error" or answer.status >= 300:
        raise _NoFigure(f"it refused the query: {clipped(str(document.get('error', 'without a reason')), 200)}")
    if warnings := document.get("warnings"):
        # Behind a query's front end a warning means that a part of the servers did not answer.
        raise _NoFigure(f"it warns that the answer is not whole: {clipped(str(warnings), 160)}")
    data = document.get("data")
    if not isinstance(data, dict):
        raise _NoFigure("it answered without data")
    return data


def _samples(data: dict[str, Any]) -> list[list[Any]]:
    """The pairs of time and value of a range, with the value as the server writes it."""
    kind, result = data.get("resultType"), data.get("result")
    try:
        series = _only_series(kind, result)
        if kind != "matrix":
            raise _NoFigure("it answered with one value in place of a range")
        samples = series["values"]
        for at, value in samples:
            float(at), float(value)
    except (LookupError, TypeError, ValueError) as error:
        raise _NoFigure("its answer is not what Prometheus gives") from error
    found: list[list[Any]] = samples
    return found


def _only_series(kind: object, result: Any) -> dict[str, Any]:
    if kind not in ("vector", "matrix") or not isinstance(result, list):
        raise _NoFigure(f"its answer is a {clipped(str(kind), 20)}, not a number")
    if not result:
        raise _NoFigure("no series matches, so there is no value")
    if len(result) > 1:
        raise _NoFigure(f"{len(result):,} series match; aggregate them in the query, as by sum(…)")
    series: dict[str, Any] = result[0]
    return series


def _number(sample: Any) -> float:
    value = float(sample[1])
    if math.isnan(value):
        raise _NoFigure("its value is NaN, as of nothing divided by nothing")
    if math.isinf(value):
        raise _NoFigure("its value is infinite, as of something divided by nothing")
    return value


def _refuse_gaps(times: list[float], now: datetime, span: timedelta, step: timedelta) -> None:
    """Refuse history that does not cover the whole of a range."""
    edges = [(now - span).timestamp(), *times, now.timestamp()]
    widest = max(after - before for before, after in pairwise(edges))
    if not times or widest > _GAP * step.total_seconds():
        wanted, covered = _shown(span), _shown(len(times) * step)
        raise _NoFigure(f"the history of {wanted} has a gap of {format_value(widest, 's')}; it has about {covered}")


def _shown(span: timedelta) -> str:
    return format_value(span.total_seconds(), "s")
