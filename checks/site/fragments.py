"""What stands in a live element: templates over facts. Jinja escapes every value, and makes it harmless first."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup

from checks.errors import DataError
from checks.journal.decided import decisions
from checks.model import Metric, Run
from checks.site import agenda, checklists, drawing, incidents, metric_page, own_files, plotting, reports, tables, views, words
from checks.site.facts import Facts
from checks.site.history import RUNS_ON_A_PAGE, pages_of_runs, runs_address
from checks.site.live import Place
from checks.site.marks import Marks
from checks.site.straight import StraightEnvironment

if TYPE_CHECKING:
    from checks.site.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Page:
    """The page that fragments are put into; links are written from it.

    Attributes:
        address: its path from the site's root (``systems/web-shop/index.html``).

    """

    address: str
    _known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def to(self, address: str) -> str:
        """A relative link from this page."""
        return _relative(address, _folder(self.address))

    def known(self, facts: Facts) -> dict[Any, Any]:
        """What is picked or made of some facts once for all of its fragments."""
        if self._known.get("facts") is not facts:
            self._known.clear()
            self._known["facts"] = facts
        return self._known


@lru_cache(maxsize=65_536)
def _relative(address: str, folder: str) -> str:
    target, mark, anchor = address.partition("#")
    return posixpath.relpath(target, folder) + mark + anchor


@lru_cache(maxsize=16_384)
def _folder(address: str) -> str:
    return posixpath.dirname(address) or "."


def fragment(facts: Facts, page: Page, place: Place) -> Markup:
    """The inner HTML of one live element.

    Raises:
        DataError: nothing of that kind is known, or the catalogue has not what it is about.

    """
    if place.kind not in FRAGMENTS:
        raise DataError(f"there is no live element `{place.kind}`", where=page.address, expected="one of " + ", ".join(FRAGMENTS))
    if place.kind == "publication" and not facts.preview and page.address != "index.html":
        return _exports(facts.environment, _folder(page.address))
    known, asked = page.known(facts), (FRAGMENTS[place.kind], place.argument)
    if asked not in known:
        known[asked] = FRAGMENTS[place.kind](facts, place.argument)
    return _render(f"{place.kind}.html", facts, page, known[asked])


@lru_cache(maxsize=16_384)
def _exports(environment: str, folder: str) -> Markup:
    """How every page ends but Home, the same on all of a folder."""
    made = _templates().get_template("_exports.html")
    links = made.render(environment=environment, to=lambda address: _relative(address, folder))
    return Markup(f"Environment {links}")  # noqa: S704 - every value in it was escaped by the template


def evidence_page(facts: Facts, digest: str, evidence: Evidence | None, runs: Sequence[Run], more: int = 0) -> str:
    """The page of one executed notebook; says so where its bytes are not those it is named for.

    Args:
        facts: what is shown.
        digest: of the notebook.
        evidence: the notebook, if its bytes are whole.
        runs: whose evidence it is.
        more: how many other runs left the same.

    """
    runbook = facts.catalogue.runbooks.get(runs[0].runbook) if runs else None
    about = {"digest": digest, "evidence": evidence, "runs": runs, "runbook": runbook, "more": more}
    return str(_render("evidence-page.html", facts, Page(f"evidence/{digest}.html"), about))


def whole_page(template: str, facts: Facts, page: Page, about: dict[str, Any]) -> bytes:
    """A page of its own, outside of what MkDocs builds."""
    return _render(template, facts, page, about).encode()


@cache
def sprite() -> Markup:
    """The shapes that statuses and boxes refer to; once on each page."""
    return Markup(_templates().get_template("sprite.html").render())  # noqa: S704 - our own template, without values


def _render(template: str, facts: Facts, page: Page, about: dict[str, Any]) -> Markup:
    known = page.known(facts)
    if "given" not in known:
        known["given"] = {**_templates().globals, **_given(facts, page)}
    made = _templates().get_template(template)
    # As `render` does it, which copies what all templates of the page are given.
    context = made.environment.context_class(made.environment, known["given"], template, made.blocks)
    context.vars |= about
    return Markup("".join(made.root_render_func(context)))  # noqa: S704 - every value in it was escaped by the template


def _given(facts: Facts, page: Page) -> dict[str, Any]:
    """What every template of a page is given."""
    marks = Marks(facts)
    proofs: dict[str | None, str] = {}

    def link(system: str) -> str:
        return page.to(f"systems/{system}/index.html")

    def runbook_link(slug: str | None, anchor: str = "") -> str:
        runbook = facts.catalogue.runbooks.get(slug or "")
        return page.to(f"systems/{runbook.system}/runbooks/{runbook.name}.html{anchor}") if runbook else ""

    def metric_link(metric: Metric) -> str:
        return page.to(metric_page.address_of(metric))

    def evidence_link(run_id: str | None, cell: int | None = None) -> str:
        if run_id not in proofs:
            digest = facts.evidence_of(run_id)
            proofs[run_id] = page.to(f"evidence/{digest}.html") if digest else ""
        proof = proofs[run_id]
        return proof if cell is None or not proof else f"{proof}#cell-{cell}"

    return {
        "facts": facts,
        "page": page.address,
        "marks": marks,
        "link": link,
        "runbook_link": runbook_link,
        "metric_link": metric_link,
        "evidence_link": evidence_link,
        "to": page.to,
        "clock": marks.clock,
        "precise": marks.precise,
    }


@cache
def _templates() -> StraightEnvironment:
    environment = StraightEnvironment(
        loader=PackageLoader("checks.site", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # else each use of each looks whether its file has changed
        cache_size=-1,
    )
    environment.globals |= {
        "asset": own_files.address,
        "badge": views.badge,
        "past_badge": views.past_badge,
        "strip_of": drawing.strip,
        "spark_of": drawing.spark,
        "trend_of": reports.trend,
        "took": words.took,
        "span": words.span,
        "observed": views.value_of,
        "schedule": words.schedule,
    }
    return environment


def _nothing(_facts: Facts, _argument: str) -> dict[str, Any]:
    return {}


def _answer(facts: Facts, _argument: str) -> dict[str, Any]:
    due = [moment for runbook in facts.catalogue.runbooks.values() if (moment := views.next_of(facts, runbook))]
    return {"report": facts.report, "text": views.answer(facts), "next": min(due, default=None)}


def _needs(facts: Facts, argument: str) -> dict[str, Any]:
    report = facts.system(argument) if argument else facts.report
    return {
        "report": report,
        "one": argument,
        "items": views.needs(facts, report),
        "incidents": incidents.open_rows(facts, argument),
        "planned": agenda.maintenance(facts, timedelta(days=7), argument),
    }


def _systems(facts: Facts, _argument: str) -> dict[str, Any]:
    return {"table": tables.systems(facts)}


def _system(facts: Facts, argument: str) -> dict[str, Any]:
    return {"report": facts.system(argument), "system": facts.catalogue.system(argument)}


def _decisions(facts: Facts, argument: str) -> dict[str, Any]:
    items = facts.system(argument).items
    badges = {item.metric.name: views.badge(item) for item in items if item.metric is not None}
    found = [
        (decision, views.decision_badge(decision.met.value, [badges[one.state.metric] for one in decision.evidence]))
        for decision in decisions(facts.catalogue.system(argument), items)
    ]
    return {"system": facts.catalogue.system(argument), "decisions": found, "badges": badges}


def _metrics(facts: Facts, argument: str) -> dict[str, Any]:
    name, _, only = argument.partition("/")
    return {"table": tables.metrics(facts, facts.catalogue.system(name), only)}


def _metric(facts: Facts, argument: str) -> dict[str, Any]:
    return {"row": views.metric_row(facts, facts.catalogue.metric(argument))}


def _plots(facts: Facts, argument: str) -> dict[str, Any]:
    return {"plots": plotting.plots(facts, facts.catalogue.metric(argument))}


def _limits_in_force(facts: Facts, argument: str) -> dict[str, Any]:
    metric = facts.catalogue.metric(argument)
    forces = facts.limits.get(metric.slug, ())
    declared = tuple(limit.text if limit else None for limit in (metric.warning, metric.critical))
    return {"forces": forces, "changed": bool(forces) and (forces[-1].warning, forces[-1].critical) != declared}


def _runbooks(facts: Facts, argument: str) -> dict[str, Any]:
    return {"table": tables.runbooks(facts, argument)}


def _runbook(facts: Facts, argument: str) -> dict[str, Any]:
    return {"row": views.runbook_row(facts, facts.catalogue.runbook(argument)), "runs": facts.runs.get(argument, ())}


def _runs(facts: Facts, argument: str) -> dict[str, Any]:
    runbook, counted = facts.catalogue.runbook(argument), facts.counted.get(argument)
    count = counted.count if counted else 0
    return {
        **_runbook(facts, argument),
        "count": count,
        # A preview holds the latest runs only.
        "pages": 0 if facts.preview else pages_of_runs(count),
        "on_a_page": RUNS_ON_A_PAGE,
        "runs_at": lambda number: runs_address(runbook, number),
    }


def _step(facts: Facts, argument: str) -> dict[str, Any]:
    slug, _, number = argument.partition("#")
    return {"step": views.step(facts, facts.catalogue.runbook(slug), int(number))}


def _incidents(facts: Facts, argument: str) -> dict[str, Any]:
    return {"table": tables.incidents(facts, argument), "one": argument}


def _incident(facts: Facts, argument: str) -> dict[str, Any]:
    incident = facts.catalogue.incident(argument)
    return {"row": incidents.row(facts, incident), "story": incidents.story(facts, incident)}


def _sign(facts: Facts, argument: str) -> dict[str, Any]:
    item = facts.catalogue.item(argument)
    signed = facts.signed.get(item.slug)
    return {"item": item, "signed": signed, "why_not": checklists.why_not(facts, item)}


def _tick(facts: Facts, argument: str) -> dict[str, Any]:
    items = facts.catalogue.checklists.get(argument.partition("/")[0], ())
    item = next((one for one in items if one.slug == argument), None)
    signed = facts.signed[argument] if item and checklists.holds(facts, item) else None
    return {"signed": signed, **_metric(facts, argument)}


def _calendar(facts: Facts, argument: str) -> dict[str, Any]:
    ahead = timedelta(days=int(argument))
    return {
        "days": agenda.shown(facts, ahead),
        "ahead": ahead,
        "unsigned": agenda.unsigned(facts),
        "item_address": checklists.address_of,
    }


def _checklist(facts: Facts, argument: str) -> dict[str, Any]:
    return {"sections": checklists.sections(facts, facts.catalogue.system(argument)), "address_of": checklists.address_of}


def _due(facts: Facts, _argument: str) -> dict[str, Any]:
    return {"entries": agenda.soon(facts)}


def _maintenance(facts: Facts, argument: str) -> dict[str, Any]:
    return {"entries": agenda.maintenance(facts, timedelta(days=92), argument)}


def _report(facts: Facts, argument: str) -> dict[str, Any]:
    system, _, period = argument.partition("/")
    return {"report": reports.report(facts, system, period), "period": period, "book_of": facts.catalogue.runbooks.get}


def _reports(facts: Facts, argument: str) -> dict[str, Any]:
    systems = facts.catalogue.systems_in(facts.environment)
    return {"reports": [reports.report(facts, system.name, argument, 2) for system in systems], "period": argument}


def _spark(facts: Facts, argument: str) -> dict[str, Any]:
    metric: Metric = facts.catalogue.metric(argument)
    return {"drawing": drawing.spark(facts, metric)}


FRAGMENTS: dict[str, Callable[[Facts, str], dict[str, Any]]] = {
    "answer": _answer,
    "answer-age": _answer,
    "calendar": _calendar,
    "checklist": _checklist,
    "contacts": _system,
    "decisions": _decisions,
    "due": _due,
    "holds": _metric,
    "incident": _incident,
    "incidents": _incidents,
    "limits-in-force": _limits_in_force,
    "maintenance": _maintenance,
    "metric": _metric,
    "metrics": _metrics,
    "needs": _needs,
    "plots": _plots,
    "publication": _nothing,
    "report": _report,
    "reports": _reports,
    "run": _runbook,
    "runbooks": _runbooks,
    "runs": _runs,
    "severities": _system,
    "sign": _sign,
    "spark": _spark,
    "status": _system,
    "step": _step,
    "step-status": _step,
    "strip": _system,
    "systems": _systems,
    "tick": _tick,
    "tick-run": _runbook,
    "value": _metric,
}
"""Every kind of live element, with what its template of the same name is given."""
