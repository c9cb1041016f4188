"""More is due than there are places."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.run.project import SYSTEM
from tests.threats.shop import open_shop

_PRIORITIES = ("P0", "P1", "P3", "")
_MANY = 100


@pytest.mark.timeout(300)
def test_43_a_hundred_due_at_once_all_run_and_what_matters_most_is_first(tmp_path: Path) -> None:
    """A hundred runbooks due in the same second, two at once: each runs to its end within its deadline, by priority."""
    shop = open_shop(tmp_path / "site")
    metrics = "".join(
        f'  m{number}:\n    title: Metric {number}\n    unit: "%"\n    probe: {{kind: notebook}}\n    critical: "> 10 %"\n'
        + (f"    priority: {priority}\n" if priority else "")
        for number, priority in enumerate(_PRIORITIES)
    )
    shop.project.describe(SYSTEM + metrics)
    wanted = [number % len(_PRIORITIES) for number in range(_MANY)]
    random.Random(43).shuffle(wanted)
    for number, metric in enumerate(wanted):
        body = f'```python\nfrom checks import check\ncheck("m{metric}", 1)\n```\n'
        shop.project.write(body, f"b{number:03}-{metric}", 'schedule: {cron: "0 0 * * *"}\ndeadline: 20s\n')
    shop.more["PROOFBOOK_KERNELS"] = "fork"  # a hundred kernels started anew would take minutes
    ended, runs = shop.run("--due", "--jobs", "2")
    assert ended.code == 0, ended.err
    assert Counter(run["state"] for run in runs.values()) == {"finished": _MANY}
    begun = sorted(runs.values(), key=lambda run: str(run["started_at"]))
    order = [int(run["runbook"][-1]) for run in begun]
    assert order == sorted(wanted)
    assert len({run["id"] for run in runs.values()}) == _MANY
    assert [line for line in shop.call("run", "--due").err.splitlines() if line] == ["nothing is due"]
