"""What was measured before reaches the kernel that judges it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.journal import open_journal
from checks.model import Baseline, BaselineUsed, FixedBaseline, Status
from checks.run import context
from checks.run.ends import Prepared
from checks.run.execution import execute
from checks.run.history import with_history
from checks.run.many import run_many
from tests.run.project import SYSTEM, Project, now

CONDITIONS = """\
conditions:
  close-early:
    title: Close early
    any: [ovens, {metric: error-rate, at: warning}]
"""
LOOKING_BACK = (
    (SYSTEM + CONDITIONS)
    .replace(
        "metrics:\n",
        """metrics:
  ovens:
    title: Heat of the ovens
    unit: "%"
    probe: {kind: notebook}
    every: 1h
    warning: "+25 %"
    critical: "> 90 % for 2h"
    baseline: {statistic: mean, window: 7d, needs: 2h, samples: 2, since: "{opened_at}"}
    leave: {critical: "< 50 %"}
  orders:
    title: Orders
    unit: orders
    probe: {kind: notebook}
    every: 1h
    series: counter
    critical: "< 10 in 3h"
    baseline: {figure: 12 orders, on: 2026-03-01, by: The baker}
  recipe:
    title: Recipe
    unit: text
    probe: {kind: notebook}
    warning: changes
    critical: 'not matches /^rye/'
""",
    )
    .replace('    token: "${secret:SHOP_TOKEN}"\n', '    token: "${secret:SHOP_TOKEN}"\n    opened_at: "${SHOP_OPENED_AT}"\n')
)
BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Ledger:
    """A journal that remembers what it was asked for."""

    def __init__(self, known: dict[str, list[tuple[datetime, float]]]) -> None:
        self.known = known
        self.asked: dict[str, datetime] = {}

    def observations(
        self, slug: str, environment: str, since: datetime, *, unit: str | None = None, limit: int | None = None
    ) -> Sequence[tuple[datetime, float]]:
        assert environment == "test"
        assert limit == 50_000
        assert unit == {"shop/ovens": "%", "shop/orders": "orders", "shop/recipe": "text"}[slug]
        self.asked[slug] = since
        return self.known.get(slug, [])


def _prepared(project: Project, body: str) -> Prepared:
    project.describe(LOOKING_BACK)
    project.variables["SHOP_OPENED_AT"] = "2026-01-01T00:00:00Z"
    return project.prepared(project.write(body), actor="the baker")[0]


def test_only_what_limits_need_is_read(project: Project) -> None:
    """The journal is asked for the metrics whose limits look back, from as far back as they look, and for no other."""
    ledger = Ledger({})
    prepared = with_history(_prepared(project, ""), ledger, BEGAN)
    assert prepared.history == {}
    assert ledger.asked == {
        "shop/ovens": BEGAN - timedelta(days=7),
        "shop/orders": BEGAN - timedelta(hours=6),
        "shop/recipe": BEGAN - timedelta(days=7),
    }


def test_a_context_tells_how_metrics_are_judged(project: Project, tmp_path: Path) -> None:
    """Limits, baselines, conditions and history come out of a run's context as they went in."""
    known = {"shop/ovens": [(BEGAN, 80.5)]}
    told = with_history(_prepared(project, ""), Ledger(known), BEGAN).context
    context.write(told, tmp_path / "context.json")
    read = context.read(tmp_path / "context.json")
    assert read.system.metrics == told.system.metrics
    assert read.system.conditions == told.system.conditions
    assert read.history == {"ovens": ((BEGAN, 80.5),)}
    assert isinstance(read.system.metrics["ovens"].baseline, Baseline)
    assert isinstance(read.system.metrics["orders"].baseline, FixedBaseline)


def test_a_cell_judges_by_what_was_measured_before_and_in_this_run(project: Project) -> None:
    """Windows, baselines, changes and decisions rest on the journal's history and on the checks of the run itself."""
    body = (
        "```python\nfrom checks import check, decide\nfrom checks.judge import percentile\n"
        'check("ovens", 60)\ncheck("orders", 25)\ncheck("recipe", "rye, 3 kg")\ncheck("recipe", "rye, 4 kg")\n'
        'check("error-rate", percentile([0.5, 2.0], 50))\nprint(decide("close-early"))\n```\n'
    )
    start = now()
    ledger = Ledger(
        {
            "shop/ovens": [(start - timedelta(hours=ago), 40.0) for ago in range(4, 0, -1)],
            "shop/orders": [(start - timedelta(hours=ago, minutes=1), 20.0) for ago in range(4, 0, -1)],
        }
    )
    outcome = execute(with_history(_prepared(project, body), ledger, start), clock=now)
    assert outcome.run.reason == ""
    ovens, orders, first, second, errors = outcome.results
    assert (ovens.status, ovens.baseline) == (
        Status.WARNING,
        BaselineUsed(40.0, "%", 4, "mean of 7 d since 2026-01-01 00:00 UTC"),
    )
    assert (orders.status, orders.reason) == (Status.CRITICAL, "5 in 3h breaks < 10 in 3h")
    assert first.status is Status.UNKNOWN
    assert second.status is Status.WARNING
    assert second.reason.startswith('"rye, 4 kg" breaks changes')
    assert (errors.observation and errors.observation.samples, errors.status) == (2, Status.WARNING)
    assert outcome.evidence is not None
    assert b"Close early: yes (1 of 2 states; 1 needed)" in outcome.evidence


@pytest.mark.parametrize("values", [("2", "9"), ("9", "2")])
def test_runs_look_back_into_the_journal(project: Project, values: tuple[str, str]) -> None:
    """A second run through the journal knows what the first one measured, its text included."""
    statuses = []
    with open_journal(f"sqlite:///{project.root}/journal.db") as journal:
        for value in values:
            body = f'```python\nfrom checks import check\ncheck("recipe", "rye, {value} kg")\n```\n'
            outcomes = run_many([_prepared(project, body)], journal, clock=now, jobs=1)
            statuses += [result.status for outcome in outcomes for result in outcome.results]
    assert statuses == [Status.UNKNOWN, Status.WARNING]
