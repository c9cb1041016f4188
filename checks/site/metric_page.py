"""A metric's page: what is declared of it as Markdown, with live elements where figures belong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from checks.judge.lifetimes import is_sampled
from checks.site import declared, live, words
from checks.site.words import letters

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.model import Metric, Runbook


def page_of(metric: Metric) -> str:
    """The source path of a metric's page."""
    return f"systems/{metric.system}/metrics/{metric.name}.md"


def address_of(metric: Metric) -> str:
    """Where a metric's page lies on the site."""
    return page_of(metric).removesuffix(".md") + ".html"


def metric_page(metric: Metric, catalogue: Catalogue) -> str:
    """The page of a metric as Markdown with front matter."""
    system = catalogue.system(metric.system)
    lines = [
        "---",
        f"title: {json.dumps(letters(metric.title, quote=False))}",
        "render_macros: false",
        "hide: [navigation]",
        f"tags: {json.dumps(_tags(metric))}",
        "---",
    ]
    home = f'<a href="../index.html">{letters(system.title)}</a>'
    path = f'<p class="pb-path" data-search-exclude>{home} / {letters(metric.group)}</p>'
    lead = f'<p class="pb-lead" data-search-exclude>{letters(metric.meaning)}</p>' if metric.meaning else ""
    about = [path, live.block("metric", metric.slug), lead, _facts(metric, catalogue)]
    lines += ["", "<section>", *about, "</section>"]
    lines += ["", f"## Over time {words.UNSEARCHED}", "", live.block("plots", metric.slug)]
    export = f"proofbook journal export {metric.slug} > {metric.name}.csv"
    lines += ["", f'<p class="pb-soft">For a spreadsheet: <code>{letters(export)}</code></p>']
    lines += ["", f"## Limits {words.UNSEARCHED}", "", *_limits(metric)]
    lines += ["", f"### How they changed {words.UNSEARCHED}", "", live.block("limits-in-force", metric.slug)]
    lines += ["", f"## How it is measured {words.UNSEARCHED}", "", *_measuring(metric, catalogue), ""]
    return "\n".join(lines)


def _tags(metric: Metric) -> list[str]:
    """What the search takes for a second title, and shows below the first: its name, and limits that have a figure."""
    limits = [text for *_, text in declared.judged(metric) if any(map(str.isdigit, text))]
    return [metric.name, *(letters(text, quote=False) for text in limits)]


def _facts(metric: Metric, catalogue: Catalogue) -> str:
    follow = catalogue.runbooks.get(metric.runbook or "")
    rows = [
        ("When it is broken", f"follow {_links([follow])}" if follow else "no runbook is named"),
        ("Priority", letters(metric.priority or "none is named")),
        ("Unit", letters(metric.unit or "a plain count")),
        ("Measured", f"every {words.span(metric.every)}" if metric.every else "whenever its runbook runs"),
        ("Speaks for", _lasts(metric, catalogue)),
    ]
    limits = "; ".join(f"{name.lower()} {said}" for name, said, _ in declared.judged(metric))
    found = [("Limits", letters(limits)), ("Name", f"<code>{letters(metric.slug)}</code>")]
    listed = "".join(f"<div data-search-exclude><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    listed += "".join(f"<div><dt data-search-exclude>{name}</dt><dd>{value} </dd></div>" for name, value in found if value)
    return f'<dl class="pb-facts">{listed}{words.fulfils(metric.source)}</dl>'


def _lasts(metric: Metric, catalogue: Catalogue) -> str:
    lifetimes = catalogue.lifetimes(catalogue.settings.environment)
    if (book := lifetimes.said_by(metric)) is not None:
        return f"{words.span(book.fresh_for)}, as {_links([book])} says"
    if metric.fresh_for is None and not is_sampled(metric):
        return "as long as the runbook says that measured it"
    lasts = words.span(lifetimes.of(metric))
    return lasts if metric.fresh_for else f"{lasts}; then two results of its samples are missing"


def _limits(metric: Metric) -> list[str]:
    rows = [(name, letters(said), f"<code>{letters(text)}</code>") for name, said, text in declared.judged(metric)]
    table = _table(("Status", "When", "As written"), rows)
    notes = []
    if usual := declared.usual(metric):
        notes.append(f"What is usual: {usual}.")
    if metric.needs:
        notes.append(f"A value that rests on fewer than {metric.needs:,} samples is unknown.")
    if metric.stay:
        notes.append(f"Once it enters a status it stays there for {words.span(metric.stay)} at least.")
    notes.append("What could not be measured is unknown, never ok.")
    return [table, "", f"<p>{letters(' '.join(notes))}</p>"]


def _measuring(metric: Metric, catalogue: Catalogue) -> list[str]:
    kind = str(metric.probe["kind"])
    lines = [f"<p>By the probe <code>{letters(kind)}</code>: {_with_code(_lowered(declared.probe_in_words(metric)))}</p>"]
    books = declared.measured_by(metric, catalogue)
    by = f"Checked by {_links(books)}." if books else "No runbook names it in a check, so nothing measures it yet."
    lines += ["", f"<p>{by}</p>"]
    if options := declared.probe_options(metric):
        rows = [(f"<code>{letters(name)}</code>", f"<code>{letters(value)}</code>") for name, value in options]
        lines += ["", _table(("Option", "Declared"), rows)]
    if settings := declared.settings_of(metric, catalogue.system(metric.system)):
        said = {one.name: "; ".join(f"{environment}: {origin}" for environment, origin in one.origins) for one in settings}
        cells = [(f"<code>{letters(name)}</code>", letters(text)) for name, text in said.items()]
        lines += ["", "<p>Names in braces are settings of the environment. Where each of them comes from:</p>"]
        lines += ["", _table(("Setting", "Filled from"), cells)]
    return lines


def _links(books: Iterable[Runbook]) -> str:
    return ", ".join(f'<a href="../runbooks/{letters(book.name)}.html">{letters(book.title)}</a>' for book in books)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="pb-table pb-declared"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _with_code(text: str) -> str:
    """A text of ours as HTML; what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", letters(text))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
