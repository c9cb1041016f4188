"""What hand-written pages call in ``{{ … }}``: each macro leaves an empty live element and never a figure.

A slug that the catalogue does not know raises, so that the build fails and says which page and what to write instead.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from checks.errors import DataError
from checks.site import live

if TYPE_CHECKING:
    from checks.catalogue import Catalogue


_MOST_DAYS = 92
_PERIODS = ("daily", "weekly", "monthly", "quarterly")


def define_env(env: Any) -> None:
    """Give the macros to mkdocs-macros, which calls this when a build begins."""
    for name, macro in macros(env.conf.plugins["proofbook"].catalogue).items():
        env.macro(macro, name)


def macros(catalogue: Catalogue) -> dict[str, Callable[..., str]]:
    """Every macro by its name, bound to a catalogue."""
    bound = Macros(catalogue)
    return {
        "answer": bound.answer,
        "by_hand": bound.by_hand,
        "calendar": bound.calendar,
        "checklist": bound.checklist,
        "contacts": bound.contacts,
        "decisions": bound.decisions,
        "due": bound.due,
        "holds": bound.holds,
        "incident": bound.incident,
        "incidents": bound.incidents,
        "limit": bound.limit,
        "metrics": bound.metrics,
        "maintenance": bound.maintenance,
        "needs": bound.needs,
        "report": bound.report,
        "reports": bound.reports,
        "runbooks": bound.runbooks,
        "runs": bound.runs,
        "severities": bound.severities,
        "spark": bound.spark,
        "status": bound.status,
        "strip": bound.strip,
        "systems": bound.systems,
        "tick": bound.tick,
        "tick_run": bound.tick_run,
        "value": bound.value,
    }


class Macros:
    """The macros of one catalogue; each method is what the macro of its name gives.

    Raises:
        DataError: from each macro that takes a slug, when the catalogue has nothing of that name.

    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self) -> str:
        """Whether everything is well, and how old that answer is; the heading of a home page."""
        return f'<div class="pb-answer"><h1>{live.inline("answer")}</h1>{live.inline("answer-age")}</div>'

    def needs(self, system: str = "") -> str:
        """What needs someone, worst first: of one system, or of all."""
        return live.block("needs", self._system(system) if system else "")

    def systems(self) -> str:
        """A table of the systems: status, thirty days, checks that are well, what is due next, when measured."""
        return live.block("systems")

    def status(self, system: str) -> str:
        """A system's status and how old it is, within a sentence."""
        return live.inline("status", self._system(system))

    def metrics(self, system: str, group: str = "") -> str:
        """A table of a system's metrics, each observed value beside its limits; of one group, or of each in turn.

        Raises:
            DataError: the system has no such group.

        """
        groups = list(dict.fromkeys(metric.group for metric in self._catalogue.system(system).metrics.values()))
        if group and group not in groups:
            raise DataError(
                f"{system} has no group of metrics `{group}`",
                expected="one of " + ", ".join(groups),
                remedy="write one of these, or `group:` at the metrics in system.yml",
            )
        return live.block("metrics", f"{system}/{group}" if group else system)

    def runbooks(self, system: str) -> str:
        """A table of a system's runbooks: what each is for, its last run, when it is due."""
        return live.block("runbooks", self._system(system))

    def runs(self, runbook: str) -> str:
        """The latest runs of a runbook, each with its evidence."""
        return live.block("runs", self._catalogue.runbook(runbook).slug)

    def strip(self, system: str) -> str:
        """Thirty days of a system as one bar a day, within a sentence."""
        return live.inline("strip", self._system(system))

    def value(self, metric: str) -> str:
        """A metric's latest value with its status and age, within a sentence."""
        return live.inline("value", self._catalogue.metric(metric).slug)

    def spark(self, metric: str) -> str:
        """The last 24 hours of a metric as a small line, within a sentence."""
        return live.inline("spark", self._catalogue.metric(metric).slug)

    def tick(self, metric: str) -> str:
        """A checklist box that the latest result ticks; open, with the reason, where it does not."""
        return live.inline("tick", self._catalogue.metric(metric).slug)

    def tick_run(self, runbook: str) -> str:
        """A checklist box that the latest run of a runbook ticks, when it ended ok and is fresh."""
        return live.inline("tick-run", self._catalogue.runbook(runbook).slug)

    def by_hand(self, item: str = "", lasts: str = "") -> str:
        """A box for what only a person can say; one with a name, as in `by_hand("shop/shelves", lasts="7d")`, can be signed.

        It shows who signed it and until when (`proofbook checklist sign`); without a name it stays open.

        Raises:
            DataError: the item is not written on a page of its system.

        """
        if item:
            return live.inline("sign", self._catalogue.item(item).slug)
        # How long it lasts is read out of the page by the catalogue; without a name nothing can last.
        said = "By hand" if not lasts else "By hand, and without a name that could be signed"
        return (
            '<span class="pb-tick pb-tick-hand"><span class="pb-box" role="img" aria-label="open, by hand"></span>'
            f'<span class="pb-soft">{said}</span></span>'
        )

    def checklist(self, system: str) -> str:
        """How far a system's checklists are ticked, section by section: by evidence, and by people's words."""
        return live.block("checklist", self._system(system))

    def holds(self, metric: str) -> str:
        """Whether an answer still holds: it does while this metric is ok; for the entries of a FAQ."""
        return live.inline("holds", self._catalogue.metric(metric).slug)

    def incidents(self, system: str = "") -> str:
        """The incidents of a system, or of all, with their clocks: those that are open first."""
        return live.block("incidents", self._system(system) if system else "")

    def incident(self, name: str) -> str:
        """One incident: its clocks, and its story drawn from the journal; for its page."""
        return live.block("incident", self._catalogue.incident(name).name)

    def maintenance(self, system: str) -> str:
        """The work that is planned for a system in the coming three months."""
        return live.block("maintenance", self._system(system))

    def severities(self, system: str) -> str:
        """How grave an incident of a system can be, and by when somebody acts, from its `system.yml`."""
        return live.block("severities", self._system(system))

    def calendar(self, days: int = 14) -> str:
        """What runs by itself and what people must do in the coming days, day by day.

        Raises:
            DataError: the number of days is not from 1 to 92.

        """
        if not 1 <= days <= _MOST_DAYS:
            raise DataError("a calendar of so many days is not drawn", expected=f"1 to {_MOST_DAYS}", found=str(days))
        return live.block("calendar", str(days))

    def due(self) -> str:
        """The next few things that are due, by machine or by hand."""
        return live.block("due")

    def report(self, system: str, period: Literal["daily", "weekly", "monthly", "quarterly"]) -> str:
        """A system's figures in this period beside the last one, with the change, and the periods before.

        Raises:
            DataError: there is no such period.

        """
        return live.block("report", f"{self._system(system)}/{self._period(period)}")

    def reports(self, period: Literal["daily", "weekly", "monthly", "quarterly"]) -> str:
        """Every system in this period beside the last one, in one table.

        Raises:
            DataError: there is no such period.

        """
        return live.block("reports", self._period(period))

    def limit(self, metric: str, which: Literal["warning", "critical"]) -> str:
        """The declared limit of a metric, from the catalogue.

        Raises:
            DataError: the metric declares no such limit.

        """
        declared = self._catalogue.metric(metric)
        limits = {"warning": declared.warning, "critical": declared.critical}
        if which not in limits:
            raise DataError(
                f"there is no limit `{which}`", expected="warning or critical", example=f'limit("{metric}", "critical")'
            )
        limit = limits[which]
        if limit is None:
            other = "critical" if which == "warning" else "warning"
            raise DataError(
                f"{metric} has no {which} limit", remedy=f'write limit("{metric}", "{other}"), or declare one in system.yml'
            )
        return f'<span class="pb-limit">{html.escape(limit.text)}</span>'

    def contacts(self, system: str) -> str:
        """Who answers for a system, from its ``system.yml``; who cannot be reached yet is a named gap."""
        return live.block("contacts", self._system(system))

    def decisions(self, system: str) -> str:
        """What each condition that a system declares comes to now, such as when to roll back, with the evidence of each state.

        Raises:
            DataError: the system declares no condition.

        """
        if not self._catalogue.system(system).conditions:
            raise DataError(f"{system} declares no condition", remedy="declare `conditions:` in its system.yml")
        return live.block("decisions", system)

    @staticmethod
    def _period(name: str) -> str:
        if name not in _PERIODS:
            raise DataError(f"there is no period `{name}`", expected="one of " + ", ".join(_PERIODS))
        return name

    def _system(self, name: str) -> str:
        return self._catalogue.system(name).name
