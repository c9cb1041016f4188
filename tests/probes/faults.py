"""The ways in which what a probe asks can be at fault, each caused for real, and the reference page that shows what comes of it.

``python -m tests.probes.faults`` writes the page anew; the test of it compares.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from checks.judge import judge, parse_limit
from checks.model import Metric, Observation
from checks.probes import measure
from tests.probes.causes import CAUSES
from tests.probes.conftest import NOW, settings, somebody_else
from tests.probes.scenes import By, Scene

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "probe-faults.md"
FAULTS = ("down", "slow", "wrong", "huge", "hostile", "unauthorised")
# On a busy machine the deadline may pass while a library is still loaded; the reason then says the same in other words.
_BY_HTTP = ("http", "prometheus", "github")


def row(kind: str, fault: str) -> str:
    """Cause a fault, measure and judge; the line of the page that tells what came of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        scene = Scene(folder, stack, monkeypatch)
        asked = CAUSES[kind][fault](scene)
        metric = Metric("shop", "figure", "Figure", asked.unit, asked.probe, critical=parse_limit(asked.limit))
        if asked.by is By.SOMEBODY_ELSE:
            # Somebody else may not be able to load what measures, so that it is loaded before.
            measure(metric, settings(scene.values), NOW)
            if asked.closed:
                asked.closed.chmod(0)
                stack.callback(asked.closed.chmod, 0o700)
            stack.enter_context(somebody_else())
        seen = measure(metric, settings(scene.values), NOW)
        result = judge(metric, seen, NOW)
        detail = f" ({seen.detail})" if isinstance(seen, Observation) and seen.detail else ""
        text = _normal(result.reason + detail, folder)
        if kind in _BY_HTTP:
            text = text.replace(" did not end within", ": no whole answer within")
        return f"| {kind} | {fault} | {result.status.value} | {text} |"


def page() -> str:
    """The whole page, of what really happens now."""
    rows = [row(kind, fault) for kind, faults in CAUSES.items() for fault in FAULTS if fault in faults]
    return _HEAD + "\n".join(rows) + "\n"


def _normal(text: str, folder: Path) -> str:
    """The text without what differs from one machine and moment to the next."""
    text = text.replace(str(folder), "/srv").replace(sys.executable, "python")
    text = re.sub(r"127\.0\.0\.1:\d+|\"127\.0\.0\.1\", port \d+", "shop.example", text)
    text = re.sub(r"/tmp/pb\w+/", "/run/", text)
    text = re.sub(r"\[Errno \d+\] ", "", text)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


_HEAD = """\
# Probes and faults

Look here when a check is unknown and you want to know what its reason means, or before you trust one. Each line is what a
test found: it causes the fault for real, measures, and judges.

| Fault | What is caused |
| --- | --- |
| down | Nothing is there: no listener, no file, no program. |
| slow | No answer within the probe's deadline; of a disk, one that holds up whoever looks at it. |
| wrong | An answer that is not the figure asked for. |
| huge | More than the 10 MB that an answer may have, or far more than is usual. |
| hostile | A reset, an endless head, a damaged file, a link that leads elsewhere. |
| unauthorised | Access is refused, by a server or by the rights of a file. |

Only a fault that is itself the figure (a container that is down, a file that is too large) is critical. None is ever ok.

| Probe | Fault | Status | Message |
| --- | --- | --- | --- |
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
