"""A journal and evidence of the small project, written as a run would write them."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from checks.catalogue import Catalogue
from checks.journal import Journal
from checks.judge import judge
from checks.model import Observation, Result, Run, RunState, Status, Trigger, Unmeasured


def keep_evidence(catalogue: Catalogue, cells: Sequence[Any]) -> str:
    """Put an executed notebook where evidence lies; gives its digest."""
    content = nbformat.writes(new_notebook(cells=list(cells))).encode()
    digest = hashlib.sha256(content).hexdigest()
    path = catalogue.settings.state / "evidence" / digest[:2] / f"{digest}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def morning_cells(*, said: str = "", error: str = "") -> list[Any]:
    """The executed cells of the morning check; `said` is what its shell step printed."""
    return [
        new_markdown_cell("# Morning check"),
        new_markdown_cell("## Errors stay low\n\nThe share of failed requests."),
        new_code_cell('check("error-rate")', execution_count=1, outputs=[_display("error-rate  0.4 %  ok")]),
        new_markdown_cell("## The newest backup is whole"),
        new_code_cell("%%bash\ndocker ps", execution_count=2, outputs=_shell(said, error)),
        new_code_cell('check("latency")', execution_count=None if error else 3),
    ]


def png(width: int = 8, height: int = 6, shade: int = 128, behind: bytes = b"") -> bytes:
    """A grey picture; `behind` stands between its head and its end, as a part that nobody shows."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * width) * height if width * height < 1_000_000 else b"")
    parts = [(b"IHDR", head), (b"IDAT", rows), *([(b"noTe", behind)] if behind else []), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def drawn(content: bytes, **about: object) -> Any:
    """What a cell leaves that drew a picture; `about` as its metadata have it."""
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": "<Figure size 640x480 with 1 Axes>"}
    return new_output("display_data", data=data, metadata={"image/png": about} if about else {})


def record(
    catalogue: Catalogue,
    journal: Journal,
    at: datetime,
    values: dict[str, float | str],
    *,
    run_id: str = "01RUN",
    runbook: str = "shop/morning",
    state: RunState = RunState.FINISHED,
    reason: str = "",
    cells: Sequence[Any] | None = None,
    environment: str = "staging",
) -> Run:
    """Record a run that measured these values; a text stands for a reason why nothing could be measured."""
    book = catalogue.runbook(runbook)
    results = [_result(catalogue, book.system, name, value, at) for name, value in values.items()]
    status = Status.worst(result.status for result in results) if state is RunState.FINISHED else Status.UNKNOWN
    run = Run(
        id=run_id,
        runbook=runbook,
        system=book.system,
        environment=environment,
        trigger=Trigger.PUBLISH,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=at,
        source=book.digest,
        host="shop-1",
    )
    journal.start_run(run)
    evidence = keep_evidence(catalogue, morning_cells(said="Running: till\n") if cells is None else cells)
    ended = replace(run, state=state, status=status, reason=reason, evidence=evidence, ended_at=at + timedelta(seconds=1.2))
    journal.finish_run(ended, results)
    return ended


def _result(catalogue: Catalogue, system: str, name: str, value: float | str, at: datetime) -> Result:
    metric = catalogue.metric(f"{system}/{name}")
    seen: Observation | Unmeasured = (
        Unmeasured(value, at, 0.1, "GET http://127.0.0.1:1/metrics")
        if isinstance(value, str)
        else Observation(value, metric.unit, at, 0.02, "GET http://127.0.0.1:1/metrics → error_rate", "12 of 480 requests")
    )
    cell, step = {"error-rate": (2, 1)}.get(name, (5, 2))
    return replace(judge(metric, seen, at), cell=cell, step=step)


def _display(text: str) -> Any:
    data = {"text/plain": text, "application/vnd.proofbook.result+json": {}, "text/html": "<b>never shown</b>"}
    return new_output("display_data", data=data)


def _shell(said: str, error: str) -> Iterable[Any]:
    outputs = [new_output("stream", name="stdout", text=said)] if said else []
    return [*outputs, new_output("error", ename="CommandFailed", evalue=error, traceback=[error])] if error else outputs
