"""How long what was measured speaks for now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.journal.formats import to_json
from checks.journal.report import site_report
from checks.judge.lifetimes import FRESH_FOR, RENEW, Lifetimes, renew_after
from checks.respond import checklists
from checks.site import views
from checks.site.facts import gather
from checks.site.metric_page import metric_page
from tests.journal.samples import a_metric, a_runbook
from tests.site.history import record
from tests.site.project import small_project

HOUR = timedelta(hours=1)
MEASURED = datetime(2024, 11, 11, 9, tzinfo=UTC)
WEEKLY = """\
---
title: Weekly review
system: shop
kind: check
summary: What to look at once a week.
fresh-for: 8d
---

## Speed

```python
from checks import check

for name in ("latency", "backup-age"):
    check(name)
```
"""
CHECKLIST = '# Checklist\n\n- {{ tick("shop/latency") }} The shop is fast\n'


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalogue, Journal]]:
    """A project whose speed is checked every morning, and a journal in which only the weekly review measured it."""
    texts = {"notebooks__shop__weekly": WEEKLY, "docs__systems__shop__checklist": CHECKLIST}
    root: Path = small_project(tmp_path_factory.mktemp("reviewed"), **texts)
    catalogue = load(root)
    # The cell that `record` has measured it in.
    before = [new_markdown_cell(f"Word {number}.") for number in range(4)]
    cells = [*before, new_markdown_cell("## Speed"), new_code_cell("for name in names: check(name)", execution_count=1)]
    with open_journal(f"sqlite:///{root}/journal.db") as journal:
        record(catalogue, journal, MEASURED, {"latency": 120.0}, runbook="shop/weekly", cells=cells)
        yield catalogue, journal


@pytest.mark.parametrize(("age", "label"), [(26 * HOUR - timedelta(seconds=1), "ok"), (26 * HOUR, "stale")])
def test_a_weekly_review_keeps_nothing_looking_current_for_a_week(
    reviewed: tuple[Catalogue, Journal], age: timedelta, label: str
) -> None:
    """What a daily check says that it is good for a day is stale after a day, whoever measured it and whoever shows it."""
    catalogue, journal = reviewed
    now, environment = MEASURED + age, "staging"
    snapshot, lifetimes = journal.snapshot(environment), catalogue.lifetimes(environment)
    report = site_report(catalogue.systems_in(environment), catalogue.runbooks.values(), snapshot, now, lifetimes)
    facts = gather(catalogue, journal, environment, now)
    latency = catalogue.metric("shop/latency")
    told = next(one for one in to_json(report, environment)["systems"][0]["items"] if one["slug"] == latency.slug)
    (line,) = checklists.lines(catalogue, journal, "shop", environment, now)
    said = {
        "the terminal": next(item.label for item in report.items if item.slug == latency.slug),
        "status.json": "ok" if told["freshness"] == "fresh" else told["freshness"],
        "its page": views.metric_row(facts, latency).badge.label,
        "the review's page": views.step(facts, catalogue.runbook("shop/weekly"), 1).first[0][1].label,
        "a checklist": "ok" if line.ticked else "stale",
    }
    assert said == dict.fromkeys(said, label)
    assert told["stale_at"] == "2024-11-12T11:00:00.000Z"


def test_a_page_says_whose_word_it_is(reviewed: tuple[Catalogue, Journal]) -> None:
    """A metric's page says how long a result speaks, and which runbook says so."""
    catalogue, _ = reviewed
    page = metric_page(catalogue.metric("shop/latency"), catalogue)
    assert '26 h, as <a href="../runbooks/morning.html">Morning check</a> says' in page
    assert "<dd>1 h</dd>" in metric_page(catalogue.metric("shop/error-rate"), catalogue)


SPANS = st.integers(1, 60 * 24 * 40).map(lambda minutes: timedelta(minutes=minutes))


@given(st.lists(SPANS, min_size=1, max_size=5), st.integers(0, 4), st.none() | SPANS, st.none() | SPANS)
def test_nobody_lengthens_what_another_says(
    spans: list[timedelta], which: int, every: timedelta | None, own: timedelta | None
) -> None:
    """A metric's own word holds; else no runbook that checks or measures it is outlasted, nor two results of its sampler."""
    metric = a_metric("speed", every=every, fresh_for=own, probe={"kind": "http"})
    books = [a_runbook(f"book-{number}", fresh_for=span, checks=("speed",)) for number, span in enumerate(spans)]
    lasts = Lifetimes(books).of(metric, books[which % len(books)].slug)
    most = [*spans, *([] if every is None else [2 * RENEW + 2 * every])]
    assert lasts == (min(most) if own is None else own)
    unseen = [a_runbook(book.name, fresh_for=book.fresh_for) for book in books]
    assert Lifetimes(unseen).of(metric, books[0].slug) == (own or min([spans[0], *most[len(spans) :]]))
    assert Lifetimes(()).of(metric) == (own or min(most[len(spans) :], default=FRESH_FOR))


@given(SPANS, SPANS)
def test_a_sampled_result_is_followed_before_it_ends(lasts: timedelta, every: timedelta) -> None:
    """Where samples come at least three times as often as one speaks, the next result is there before the last one ends."""
    renew = renew_after(lasts, every)
    assert timedelta(0) <= renew <= RENEW
    if 3 * every <= lasts:
        assert renew + every < lasts
