"""Projects of any size, with journals as long as wanted, to measure publishing on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa
from markupsafe import Markup

from checks.catalogue import Catalogue
from checks.journal import Journal
from checks.journal import _tables as t
from checks.journal._engine import writing
from checks.model import Observation, Result, Run, RunState, Status, Trigger
from checks.site import macros, metric_page, skeleton

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ENVIRONMENT = "production"
_PORTION = 20_000

_MKDOCS = """\
site_name: A thousand pages
theme:
  name: material
  features: [{features}]
plugins:
  - search
  - offline
  - macros
  - proofbook: {{environment: production, timezone: UTC}}
"""
_PLAIN = """\
site_name: A thousand pages
theme: {{name: material, font: false, features: [{features}]}}
use_directory_urls: false
markdown_extensions:
  [admonition, attr_list, def_list, footnotes, md_in_html, tables, pymdownx.details, pymdownx.highlight, pymdownx.superfences]
plugins: [search]
"""
_SYSTEM = """\
system: {system}
title: {title}
summary: Does something.
environments:
  production: {{base_url: "${{URL}}"}}
"""
_INDEX = """\
# {title}

{{{{ status("{system}") }}}}

{{{{ metrics("{system}") }}}}

{{{{ runbooks("{system}") }}}}
"""
_METRIC = """\
  metric-{number:04d}:
    title: Metric {number}
    unit: ms
    group: Group {group}
    meaning: How long request {number} takes, as its callers see it.
    probe: {{kind: http, url: "{{base_url}}/{number}", measure: time}}
    warning: ">= 400 ms"
    critical: "> 500 ms"
    fresh-for: 26h
"""
_RUNBOOK = """\
---
title: Check {number} of {title}
system: {system}
kind: check
summary: What to look at in part {number}.
schedule: {{cron: "{minute} {hour} * * *", timezone: UTC}}
---

Look at part {number} each morning, and before each release.

## Requests are quick

Slow requests are the first thing that customers notice.

```python
from checks import check

check("{metric}")
```

## Nothing waits

```bash
ls /tmp
```
"""
_TEXT = """\
# Note {number} of {title}

This is prose that somebody has written about {title}, with a [link](index.md) and a list.

{paragraphs}

- It is {{{{ value("{system}/metric-0000") }}}} now.
- It is critical when {{{{ limit("{system}/metric-0000", "critical") }}}}.
"""
_PARAGRAPH = """\
## Part {part}

When part {part} of {title} is slow, look at its queue first. A queue that grows means that its reader has stopped; one that is
empty means that nobody writes. In both cases restart the worker, wait for a minute, and look again.

```bash
systemctl status worker-{part}
```
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a project is; `texts` are hand-written pages of each system beside its first one."""

    systems: int
    metrics: int
    runbooks: int
    texts: int

    @property
    def pages(self) -> int:
        """About how many pages its site has."""
        return 1 + self.systems * (1 + self.metrics + self.runbooks + self.texts)


def write(root: Path, size: Size, features: str = "navigation.prune") -> Path:
    """Write a project."""
    files: dict[str, str] = {
        "mkdocs.yml": _MKDOCS.format(features=features),
        "docs/index.md": "# Home\n\n{{ answer() }}\n\n{{ needs() }}\n\n{{ systems() }}\n",
    }
    for number in range(size.systems):
        system = f"system-{number:03d}"
        about = {"system": system, "title": f"System {number}"}
        head = _SYSTEM.format(number=number, **about)
        metrics = "".join(_METRIC.format(number=metric, group=metric // 10) for metric in range(size.metrics))
        folder = f"docs/systems/{system}"
        files[f"{folder}/system.yml"] = f"{head}metrics:\n{metrics}"
        files[f"{folder}/index.md"] = _INDEX.format(**about)
        for note in range(size.texts):
            paragraphs = "\n".join(_PARAGRAPH.format(part=part, **about) for part in range(6))
            files[f"{folder}/note-{note:03d}.md"] = _TEXT.format(number=note, paragraphs=paragraphs, **about)
        for book in range(size.runbooks):
            metric = f"metric-{book % size.metrics:04d}"
            when = {"minute": book % 60, "hour": number % 24}
            files[f"notebooks/{system}/check-{book:03d}.md"] = _RUNBOOK.format(number=book, metric=metric, **when, **about)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / ".proofbook").mkdir(exist_ok=True)
    return root


def plain(catalogue: Catalogue, to: Path, features: str) -> Path:
    """Write the pages of a project as plain Markdown, as somebody would who has only MkDocs.

    Args:
        catalogue: of the project.
        to: the folder, which is made.
        features: ``sections`` or ``prune``; how Material shows the navigation.

    """
    templates, called = jinja2.Environment(autoescape=True), macros.macros(catalogue)
    pages = {
        path.relative_to(catalogue.root).as_posix(): templates.from_string(path.read_text(encoding="utf-8")).render(
            {name: _safe(macro) for name, macro in called.items()}
        )
        for path in (catalogue.root / "docs").rglob("*.md")
    }
    pages |= {f"docs/{skeleton.page_of(book)}": skeleton.runbook_page(book, catalogue) for book in catalogue.runbooks.values()}
    for system in catalogue.systems.values():
        for metric in system.metrics.values():
            pages[f"docs/{metric_page.page_of(metric)}"] = metric_page.metric_page(metric, catalogue)
    pages["mkdocs.yml"] = _PLAIN.format(features=f"navigation.{features}")
    for name, text in pages.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(text, encoding="utf-8")
    return to


def _safe(macro: Callable[..., str]) -> Callable[..., Markup]:
    return lambda *arguments: Markup(macro(*arguments))  # noqa: S704 - our own macros give HTML


def remember(catalogue: Catalogue, journal: Journal, runs: int, results: int, *, evidence: bool = True) -> None:
    """Fill a journal as past runs would have filled it, each with its own evidence.

    Args:
        catalogue: whose runbooks ran.
        journal: empty.
        runs: how many runs there were of all runbooks together, an hour apart for each.
        results: how many results they left together.
        evidence: whether they left evidence.

    """
    each = max(1, runs // len(catalogue.runbooks))
    per_run = max(1, round(results / (each * len(catalogue.runbooks))))
    with writing(journal._engine) as connection:
        names = [(system.name, metric) for system in catalogue.systems.values() for metric in system.metrics]
        series = {name: number for number, name in enumerate(names, 1)}
        rows = [{"id": key, "environment": ENVIRONMENT, "system": s, "metric": m} for (s, m), key in series.items()]
        connection.execute(sa.insert(t.series), rows)
        for some in _portions(_runs(catalogue, each, evidence)):
            connection.execute(sa.insert(t.runs), [begun for begun, _ in some])
            connection.execute(sa.insert(t.run_ends), [ended for _, ended in some])
        for found in _portions(_results(catalogue, series, each, per_run)):
            connection.execute(sa.insert(t.results), [result for result, _ in found])
            connection.execute(sa.insert(t.observations).prefix_with("OR IGNORE"), [seen for _, seen in found])
    journal.rebuild()


def run_once(catalogue: Catalogue, journal: Journal, runbook: str, at: datetime, value: float) -> None:
    """Record one run that measured its system's first metrics."""
    book = catalogue.runbooks[runbook]
    number = hashlib.sha256(f"{runbook} {at}".encode()).hexdigest()[:22]
    begun = Run(
        f"NEW-{number}",
        runbook,
        book.system,
        ENVIRONMENT,
        Trigger.SCHEDULE,
        RunState.RUNNING,
        Status.UNKNOWN,
        at,
        source=book.digest,
    )
    journal.start_run(begun)
    from dataclasses import replace

    seen = Observation(value, "ms", at, 0.01, "GET http://127.0.0.1/")
    metrics = list(catalogue.systems[book.system].metrics.values())
    results = [
        Result(
            one.system,
            one.name,
            one.title,
            Status.OK,
            "within its limits",
            at,
            observation=seen,
            warning=">= 400 ms",
            critical="> 500 ms",
            cell=2,
            step=1,
        )
        for one in metrics
    ]
    digest = _evidence(catalogue, runbook, begun.id)
    journal.finish_run(
        replace(begun, state=RunState.FINISHED, status=Status.OK, ended_at=at + timedelta(seconds=1), evidence=digest), results
    )


def _runs(catalogue: Catalogue, each: int, evidence: bool) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for slug, book in catalogue.runbooks.items():
        for back in range(each, 0, -1):
            at = NOW - timedelta(hours=back)
            id_ = _id(slug, back)
            begun = {"id": id_, "runbook": slug, "system": book.system, "environment": ENVIRONMENT, "trigger": Trigger.SCHEDULE}
            begun |= {"started_at": at, "parameters": {}, "source": book.digest, "host": "bench", "actor": ""}
            digest = _evidence(catalogue, slug, id_) if evidence and back <= 20 else None
            ended = {"run_id": id_, "state": RunState.FINISHED, "status": Status.OK, "reason": "", "evidence": digest}
            yield begun, ended | {"ended_at": at + timedelta(seconds=1)}


def _results(
    catalogue: Catalogue, series: dict[tuple[str, str], int], each: int, per_run: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for slug, book in catalogue.runbooks.items():
        metrics = list(catalogue.systems[book.system].metrics)
        offset = int(slug.rpartition("-")[2])
        for back in range(each, 0, -1):
            for place in range(per_run):
                name = metrics[(offset + place) % len(metrics)]
                at = NOW - timedelta(hours=back) + timedelta(seconds=offset, milliseconds=place)
                value = (back * 7919 + place * 104729 + offset * 31) % 390 + 1.0
                key = series[book.system, name]
                judged = {
                    "run_id": _id(slug, back),
                    "series": key,
                    "title": name,
                    "status": Status.OK,
                    "reason": "within its limits",
                }
                judged |= {"judged_at": at, "measured_at": at, "value": value, "unit": "ms", "took": 0.01, "detail": ""}
                judged |= {
                    "source": "GET http://127.0.0.1/",
                    "warning": ">= 400 ms",
                    "critical": "> 500 ms",
                    "cell": 2,
                    "step": 1,
                }
                yield judged, {"series": key, "ts": at, "value": value, "unit": "ms"}


def _id(slug: str, back: int) -> str:
    return f"{hashlib.sha256(slug.encode()).hexdigest()[:16]}-{99_999 - back:05d}"


def _evidence(catalogue: Catalogue, slug: str, run_id: str) -> str:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "## Requests are quick\n\nSlow requests are noticed first."},
        {"cell_type": "code", "metadata": {}, "source": "from checks import check", "execution_count": 1, "outputs": []},
        {
            "cell_type": "code",
            "metadata": {},
            "source": 'check("metric")',
            "execution_count": 2,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"{slug} {run_id}\n"}],
        },
    ]
    content = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}).encode()
    digest = hashlib.sha256(content).hexdigest()
    path = catalogue.settings.state / "evidence" / digest[:2] / f"{digest}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def _portions(rows: Iterator[Any]) -> Iterator[list[Any]]:
    some: list[Any] = []
    for row in rows:
        some.append(row)
        if len(some) == _PORTION:
            yield some
            some = []
    if some:
        yield some
