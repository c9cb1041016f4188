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
        "contacts": bound.contacts,
        "limit": bound.limit,
        "metrics": bound.metrics,
        "needs": bound.needs,
        "runbooks": bound.runbooks,
        "runs": bound.runs,
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

    def by_hand(self) -> str:
        """An open box for what only a person can say; nothing on the site ticks it."""
        return (
            '<span class="pb-tick pb-tick-hand"><span class="pb-box" role="img" aria-label="open, by hand"></span>'
            '<span class="pb-soft">By hand</span></span>'
        )

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

    def _system(self, name: str) -> str:
        return self._catalogue.system(name).name
