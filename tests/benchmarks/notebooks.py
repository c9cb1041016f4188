"""The notebooks that are executed: half draw figures of a table, half ask a server and the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.measuring import PROGRAMS

_SYSTEM = """system: bench
title: Bench
summary: The machine that measures.
environments:
  production: {root: "/"}
metrics:
  disk:
    title: Disk in use
    unit: "%"
    probe: {kind: host, measure: disk, path: "{root}"}
    critical: "> 100 %"
"""
_FRONT_MATTER = """---
title: Notebook {number}
system: bench
kind: check
summary: Six cells.
---
"""
# Sixty points, as a morning's figures have them; matplotlib draws one figure, as a runbook would.
_TABLE = (
    "import pandas as pd\nimport matplotlib.pyplot as plt",
    "frame = pd.DataFrame({'minute': range(60), 'errors': [i * 7 % 13 for i in range(60)]})",
    "summary = frame.groupby(frame.minute // 10).errors.agg(['mean', 'max'])\nsummary",
    "figure, axes = plt.subplots(figsize=(4, 2))\naxes.plot(frame.minute, frame.errors)\nplt.show()",
    "worst = frame.errors.quantile(0.95)\nprint(f'{worst:.1f}')",
    "assert worst < 100",
)
_MACHINE = (
    "import os\nimport httpx\nimport psutil",
    "answer = httpx.get('{url}/health', timeout=5)\nanswer.status_code",
    "body = answer.json()\nprint(body)",
    "memory = psutil.virtual_memory()\nprint(memory.percent)",
    "disk = psutil.disk_usage('/')\nprint(disk.percent)",
    "assert body['status'] == 'well' and memory.percent <= 100 and disk.percent <= 100",
)
PLAIN = (
    "import json\nimport math",
    "values = [math.sin(step / 100) for step in range(10_000)]",
    "total = sum(values)\nprint(total)",
    "print(json.dumps(values[:10]))",
    "worst = max(values)\nprint(f'{worst:.1f}')",
    "assert worst <= 1",
)


def installed(url: str) -> dict[str, tuple[str, ...]]:
    """What the notebooks consist of, by what is installed."""
    found: dict[str, tuple[str, ...]] = {}
    if find_spec("pandas") and find_spec("matplotlib"):
        found["pandas + matplotlib"] = _TABLE
    if find_spec("httpx") and find_spec("psutil"):
        found["httpx + psutil"] = tuple(cell.replace("{url}", url) for cell in _MACHINE)
    return found or {"the standard library": PLAIN}


def lay_out(
    root: Path, notebooks: int, url: str, kinds: Mapping[str, Sequence[str]] | None = None, *, paired: bool = True
) -> list[str]:
    """Write a site with so many runbooks, in turn of each kind; the kinds that they are of.

    Args:
        root: an empty folder.
        notebooks: how many.
        url: a server that is well.
        kinds: cells by a kind's name; default: those that the libraries here allow.
        paired: whether each is there as ``.ipynb`` too, for the peers.

    """
    kinds = kinds or installed(url)
    folder = root / "notebooks" / "bench"
    (root / "docs" / "systems" / "bench").mkdir(parents=True)
    folder.mkdir(parents=True)
    (root / "mkdocs.yml").write_text("site_name: Bench\nplugins:\n  - proofbook: {environment: production}\n", encoding="utf-8")
    (root / "docs" / "systems" / "bench" / "system.yml").write_text(_SYSTEM, encoding="utf-8")
    chosen = list(kinds.values())
    for number in range(notebooks):
        cells = "\n".join(f"```python\n{cell}\n```\n" for cell in chosen[number % len(chosen)])
        path = folder / f"n{number:04}.md"
        path.write_text(_FRONT_MATTER.replace("{number}", str(number)) + "## 1. Work\n\n" + cells, encoding="utf-8")
    paths = sorted(folder.glob("*.md")) if paired else []
    if paths:
        subprocess.run([PROGRAMS / "jupytext", "--quiet", "--to", "ipynb", *paths], check=True, capture_output=True)
    return list(kinds)
