"""The MIME result: how one check's outcome travels in a notebook's outputs.

Written by kernels and read by runs: what validates it (`checks.run._payload_models`) is loaded where one is read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from checks.errors import DataError
from checks.model import BaselineUsed, Observation, Result

MIME = "application/vnd.proofbook.result+json"
VERSION = 1


def to_payload(result: Result, run: str) -> dict[str, Any]:
    """The JSON of a result.

    Args:
        result: one check's outcome.
        run: the id of the run that it belongs to; where there is none (JupyterLab), any word.

    Returns:
        A dictionary of JSON values, valid as `checks.run._payload_models.ResultPayload`.

    """
    seen, baseline = result.observation, result.baseline
    payload: dict[str, Any] = {
        "version": VERSION,
        "run": run,
        "system": result.system,
        "metric": result.metric,
        "title": result.title,
        "status": result.status.value,
        "reason": result.reason,
        "judged_at": _text(result.judged_at),
        "observation": seen
        and {
            "value": float(seen.value),
            "unit": seen.unit,
            "measured_at": _text(seen.measured_at),
            "took": float(seen.took),
            "source": seen.source,
            "detail": seen.detail,
        },
        "warning": result.warning,
        "critical": result.critical,
    }
    # What only some results have is left out of the others.
    if seen is not None and seen.samples is not None:
        payload["observation"]["samples"] = seen.samples
    if baseline is not None:
        payload["baseline"] = {
            "value": float(baseline.value),
            "unit": baseline.unit,
            "samples": baseline.samples,
            "about": baseline.about,
        }
    return payload


def from_payload(payload: object, run: str, *, cell: int | None = None, step: int | None = None) -> Result:
    """The result that a payload holds.

    Args:
        payload: what stands in the output under `MIME`.
        run: the id of the run whose evidence is read.
        cell: the position of the cell that it was found in, counted from 0.
        step: the number of that cell's step.

    Raises:
        DataError: the payload is not valid, of another version, or of another run.

    """
    from pydantic import ValidationError

    from checks.run._payload_models import ResultPayload

    version = payload.get("version") if isinstance(payload, dict) else None
    if isinstance(payload, dict) and version != VERSION:
        raise DataError("the result is of another version", expected=f"version {VERSION}", found=f"version {version!r}"[:80])
    try:
        read = ResultPayload.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "the payload"
        raise DataError(f"the result is not valid: {path}: {first['msg']}") from error
    if read.run != run:
        raise DataError("the result belongs to another run", expected=run, found=read.run)
    seen, baseline = read.observation, read.baseline
    return Result(
        system=read.system,
        metric=read.metric,
        title=read.title,
        status=read.status,
        reason=read.reason,
        judged_at=read.judged_at,
        observation=Observation(**seen.model_dump()) if seen else None,
        warning=read.warning,
        critical=read.critical,
        cell=cell,
        step=step,
        baseline=BaselineUsed(**baseline.model_dump()) if baseline else None,
    )


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
