"""One number by a PromQL query: the value now, or a statistic of the server's own history."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
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
# Between two steps a sample may come late; a gap wider than this many steps is history that is missing.
_GAP = 2


class _NoFigure(Exception):
    """The answer holds no number that is meant; its text is the reason."""


def probe(declaration: PrometheusProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask a Prometheus server for one number; see `PrometheusProbe`."""
    url, query = settled.fill(declaration.url).rstrip("/"), settled.fill(declaration.query)
    step = declaration.step or (declaration.range or timedelta(0)) / _STEPS
    parameters = {"query": query, "timeout": f"{declaration.timeout.total_seconds():g}s"}
    path = "query"
    span = ""
    if declaration.range:
        path = "query_range"
        span = f", {declaration.statistic} of the last {format_value(declaration.range.total_seconds(), 's')}"
        times = {"start": now - declaration.range, "end": now}
        parameters |= {name: f"{time.timestamp():.3f}" for name, time in times.items()} | {"step": f"{step.total_seconds():g}"}
    else:
        parameters["time"] = f"{now.timestamp():.3f}"
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
        values = _values(_data(answer), now, declaration.range, step)
    except TimeoutError:
        return measuring.late(request.seconds)
    except _NoFigure as error:
        return measuring.failed(f"{measuring.source}: {error}")
    if not declaration.range:
        return measuring.gave(values[0], unit, name="the query's value")
    detail = f"{declaration.statistic} of {len(values):,} values, {format_value(step.total_seconds(), 's')} apart"
    return measuring.gave(statistic(values, declaration.statistic), unit, detail, samples=len(values))


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


def _values(data: dict[str, Any], now: datetime, span: timedelta | None, step: timedelta) -> list[float]:
    kind, result = data.get("resultType"), data.get("result")
    try:
        if kind == "scalar":
            return [_number(result)]
        if kind not in ("vector", "matrix") or not isinstance(result, list):
            raise _NoFigure(f"its answer is a {clipped(str(kind), 20)}, not a number")
        if not result:
            raise _NoFigure("no series matches, so there is no value")
        if len(result) > 1:
            raise _NoFigure(f"{len(result):,} series match; aggregate them in the query, as by sum(…)")
        if kind == "vector":
            if span:
                raise _NoFigure("it answered with one value in place of a range")
            return [_number(result[0]["value"])]
        if not span:
            raise _NoFigure("the query gives a range of values; take one, as by last_over_time(…)")
        samples = [(float(sample[0]), _number(sample)) for sample in result[0]["values"]]
    except (LookupError, TypeError, ValueError) as error:
        raise _NoFigure("its answer is not what Prometheus gives") from error
    _refuse_gaps([at for at, _ in samples], now, span, step)
    return [value for _, value in samples]


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
        wanted = format_value(span.total_seconds(), "s")
        covered = format_value(len(times) * step.total_seconds(), "s")
        raise _NoFigure(f"the history of {wanted} has a gap of {format_value(widest, 's')}; it has about {covered}")
