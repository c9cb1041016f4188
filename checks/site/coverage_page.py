"""The coverage pages: what each plan asks for, where it lives here, how it is proven, and what is still a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from checks.catalogue.requirements import Cover, Covered, Home, HomeKind, coverage
from checks.site import live
from checks.site.words import letters

if TYPE_CHECKING:
    from checks.catalogue import Catalogue

PAGE = "coverage.md"
_SAID = {
    Cover.MEASURED: ("ok", "measured", "a check or a report proves it, each time it runs"),
    Cover.OPERATED: ("soft", "operated", "an operator does it by a procedure; each walk is journaled"),
    Cover.TOLD: ("ok", "told", "it asks for words, and a page has them"),
    Cover.BY_HAND: ("soft", "by hand", "only people can do it; a page or a step asks them to"),
    Cover.ONLY_TOLD: ("warning", "only told", "it could be measured, and a page only speaks of it"),
    Cover.GAP: ("critical", "gap", "nothing here fulfils it"),
}


def page_of(system: str) -> str:
    """The source path of a system's coverage page."""
    return f"systems/{system}/{PAGE}"


def pages(catalogue: Catalogue) -> dict[str, str]:
    """Each coverage page as Markdown with front matter, by its source path; none where no plan is carried.

    Raises:
        CatalogueErrors: the rows of a plan are not valid, or something names a row that is not there.

    """
    covered = coverage(catalogue)
    if not covered:
        return {}
    made = {page_of(system): _system_page(catalogue.system(system).title, system, rows) for system, rows in covered.items()}
    return {PAGE: _overview(catalogue, covered), **made}


def _head(title: str, hidden: str = "toc") -> list[str]:
    return ["---", f"title: {title}", "render_macros: false", f"hide: [{hidden}]", "---", "", f"# {title}", ""]


def _overview(catalogue: Catalogue, covered: Mapping[str, Sequence[Covered]]) -> str:
    everything = [row for rows in covered.values() for row in rows]
    lines = [
        *_head("Coverage", "navigation, toc"),
        f'<p class="pb-lead">{letters(_counted(everything))}</p>',
        "",
        _legend(),
        "",
        '<div class="pb-scroll"><table class="pb-table pb-covered"><thead><tr><th>System</th><th class="pb-n">Asked for</th>'
        + "".join(f'<th class="pb-n">{_SAID[cover][1].capitalize()}</th>' for cover in Cover)
        + "</tr></thead><tbody>",
    ]
    for system, rows in covered.items():
        counts = Counter(row.cover for row in rows)
        name = f'<a href="systems/{system}/coverage.html">{letters(catalogue.system(system).title)}</a>'
        cells = "".join(_figure(_SAID[cover][1].capitalize(), counts[cover]) for cover in Cover)
        lines.append(f"<tr><td>{name}</td>{_figure('Asked for', len(rows))}{cells}</tr>")
    return "\n".join([*lines, "</tbody></table></div>", ""])


def _figure(label: str, count: int) -> str:
    return f'<td class="pb-n" data-label="{label}">{f"{count:,}" if count else "&ndash;"}</td>'


def _system_page(title: str, system: str, rows: Sequence[Covered]) -> str:
    lines = [
        *_head("Coverage"),
        f'<p class="pb-path"><a href="index.html">{letters(title)}</a></p>',
        "",
        f'<p class="pb-lead">{letters(_counted(rows))}</p>',
        "",
        _legend(),
        "",
    ]
    missing = [row for row in rows if row.cover in (Cover.GAP, Cover.ONLY_TOLD)]
    if missing:
        lines += ["## What is missing { data-search-exclude }", "", *_table(system, missing, anchored=False)]
    for part, members in groupby(rows, key=lambda row: row.requirement.name.split(".")[1]):
        lines += [f"## {part.replace('-', ' ').capitalize()} {{ data-search-exclude }}", ""]
        lines += _table(system, list(members), anchored=True)
    return "\n".join(lines)


def _table(system: str, rows: Sequence[Covered], *, anchored: bool) -> Iterator[str]:
    yield (
        '<div class="pb-scroll"><table class="pb-table pb-coverage"><thead><tr><th>Asked for</th><th>Where it lives</th>'
        "<th>Proof</th></tr></thead><tbody>"
    )
    for row in rows:
        asked = row.requirement
        anchor = f' id="{letters(asked.name)}"' if anchored else ""
        name = letters(asked.name.removeprefix(f"{system}."))
        notes = "".join(f'<br><span class="pb-soft">{letters(text)}</span>' for text in (asked.gap, asked.note) if text)
        tone, word, _ = _SAID[row.cover]
        homes = "<br>".join(_home(home) for home in row.homes) or '<span class="pb-soft">nowhere</span>'
        yield (
            f"<tr{anchor}><td>{letters(asked.asks)}{notes}<br><code>{name}</code></td>"
            f'<td>{homes}</td><td><span class="pb-cover pb-cover-{tone}">{word}</span></td></tr>'
        )
    yield "</tbody></table></div>"
    yield ""


def _home(home: Home) -> str:
    title = letters(home.title)
    name = home.slug.partition("/")[2]
    match home.kind:
        case HomeKind.METRIC:
            return f'<a href="metrics/{name}.html">{title}</a> {live.inline("value", home.slug)}'
        case HomeKind.CONDITION:
            return f"{title}, decided by its metrics' states"
        case HomeKind.RUNBOOK | HomeKind.PROCEDURE:
            return f'<a href="runbooks/{name}.html">{title}</a>'
        case HomeKind.PAGE:
            file = home.path.rsplit("/", 1)[-1].removesuffix(".md")
            return f'<a href="{letters(file)}.html">{title}</a>'


def _legend() -> str:
    entries = "".join(
        f'<div><dt><span class="pb-cover pb-cover-{tone}">{word}</span></dt><dd>{meaning}</dd></div>'
        for tone, word, meaning in _SAID.values()
    )
    return f'<dl class="pb-facts">{entries}</dl>'


def _counted(rows: Sequence[Covered]) -> str:
    counts = Counter(row.cover for row in rows)
    told = ", ".join(f"{counts[cover]:,} {_many(cover, counts[cover])}" for cover in Cover if counts[cover])
    return f"{len(rows):,} things are asked for: {told}."


def _many(cover: Cover, count: int) -> str:
    return "gaps" if cover is Cover.GAP and count != 1 else _SAID[cover][1]
