"""Every run of a runbook, on pages of fifty: the oldest stand on the first, and a page that is full is never changed again.

A publication reads only the runs that have come since the one before; which runs stand on a full page is noted beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.site import fragments
from checks.site.fragments import Page
from checks.site.history import RUNS_ON_A_PAGE, pages_of_runs, runs_address

if TYPE_CHECKING:
    from checks.journal.facts import RunMark
    from checks.model import Run, Runbook
    from checks.site.facts import Facts

_JUMPS = (10, 100, 1000)
"""How many pages back a page links to, beside the one before it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The runs of one page, the oldest first.

    Attributes:
        runs: the id of each, how it ended (empty while it runs) and the digest of its evidence (or empty).
        last: when the last of them started, in ISO format.

    """

    runs: tuple[tuple[str, str, str], ...]
    last: str

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return sum(1 for _, state, _ in self.runs if state)


@dataclass(frozen=True, slots=True)
class Past:
    """All runs of a runbook as a publisher notes them.

    Attributes:
        mark: what tells whether they are as they were.
        first: when the earliest of them started, in ISO format.
        leaves: all but the last are full, and a later run is known.

    """

    mark: str
    first: str
    leaves: tuple[Leaf, ...]

    @property
    def evidence(self) -> dict[str, str]:
        """The evidence of each run that has any, by the run's id."""
        return {id_: digest for leaf in self.leaves for id_, _, digest in leaf.runs if digest}

    def written(self) -> list[Any]:
        """As JSON holds it."""
        return [self.mark, self.first, [[leaf.last, leaf.runs] for leaf in self.leaves]]

    @classmethod
    def read(cls, written: Any) -> Past:
        """Read what `written` gives."""
        mark, first, leaves = written
        return cls(str(mark), str(first), tuple(Leaf(tuple((i, s, e) for i, s, e in runs), last) for last, runs in leaves))


def pasts_of(facts: Facts, known: Mapping[str, Past]) -> dict[str, Past]:
    """All runs of every runbook, by its slug.

    Args:
        facts: where they are read from.
        known: what the publication before noted; full pages are taken over where nothing has come to them since.

    """
    marks = {slug: _mark(facts, slug) for slug in facts.catalogue.runbooks}
    found = {slug: known[slug] for slug, mark in marks.items() if slug in known and known[slug].mark == mark}
    full = {slug: _full(facts, slug, known.get(slug)) for slug, mark in marks.items() if mark and slug not in found}
    fresh = facts.by_id.lines({slug: _after(leaves) for slug, leaves in full.items()})
    late = [slug for slug, leaves in full.items() if leaves and not _all_of_them(facts, slug, leaves, fresh[slug])]
    full |= dict.fromkeys(late, ())
    fresh |= facts.by_id.lines(dict.fromkeys(late))
    for slug, leaves in full.items():
        found[slug] = Past(marks[slug], facts.counted[slug].first.isoformat(), (*leaves, *_leaves(fresh[slug])))
    return {slug: found.get(slug) or Past("", "", ()) for slug in marks}


def _mark(facts: Facts, runbook: str) -> str:
    counted = facts.counted.get(runbook)
    return hashlib.sha256(f"{counted} {facts.runs.version(runbook)}".encode()).hexdigest()[:16] if counted else ""


def _full(facts: Facts, runbook: str, known: Past | None) -> tuple[Leaf, ...]:
    """The pages that were full, where the first of all runs is still the one that it was."""
    same = known is not None and known.first == facts.counted[runbook].first.isoformat()
    return known.leaves[:-1] if known is not None and same else ()


def _after(leaves: Sequence[Leaf]) -> tuple[datetime, str] | None:
    return (datetime.fromisoformat(leaves[-1].last), leaves[-1].runs[-1][0]) if leaves else None


def _all_of_them(facts: Facts, runbook: str, leaves: Sequence[Leaf], fresh: Sequence[RunMark]) -> bool:
    counted = facts.counted[runbook]
    count = sum(len(leaf.runs) for leaf in leaves) + len(fresh)
    ended = sum(leaf.ended for leaf in leaves) + sum(1 for one in fresh if one.state)
    return (count, ended) == (counted.count, counted.ended)


def _leaves(runs: Sequence[RunMark]) -> Iterator[Leaf]:
    for first in range(0, len(runs), RUNS_ON_A_PAGE):
        some = runs[first : first + RUNS_ON_A_PAGE]
        yield Leaf(tuple((one.id, one.state, one.evidence) for one in some), some[-1].started_at.isoformat())


def maker(runbook: Runbook, number: int, leaf: Leaf, *, newest: bool) -> Callable[[Facts], bytes]:
    """What makes a page of runs; it holds nothing that changes once the page is full.

    Args:
        runbook: whose runs.
        number: of the page, from 1, the oldest.
        leaf: the runs on it.
        newest: whether there is no page after it yet.

    """
    page = Page(runs_address(runbook, number))

    def made(facts: Facts) -> bytes:
        runs: list[Run] = [facts.by_id[id_] for id_, _, _ in reversed(leaf.runs)]
        about = {
            "runbook": runbook,
            "runs": runs,
            "first": (number - 1) * RUNS_ON_A_PAGE + 1,
            "last": (number - 1) * RUNS_ON_A_PAGE + len(runs),
            "older": [page.to(runs_address(runbook, number - 1))] if number > 1 else [],
            "newer": [] if newest else [page.to(runs_address(runbook, number + 1))],
            "jumps": [(back, page.to(runs_address(runbook, number - back))) for back in _JUMPS if number > back],
        }
        return fragments.whole_page("runs-page.html", facts, page, about)

    return made


def pages(
    facts: Facts, pasts: Mapping[str, Past], proven: Collection[str]
) -> Iterator[tuple[str, str, Sequence[str], Callable[[Facts], bytes]]]:
    """Each page of runs: its address, what it is made of beside facts, the ids of its runs, and what makes it.

    Args:
        facts: what is shown.
        pasts: all runs of each runbook.
        proven: the digests of the evidence that is there.

    """
    for slug, past in pasts.items():
        count = pages_of_runs(sum(len(leaf.runs) for leaf in past.leaves))
        runbook = facts.catalogue.runbooks[slug]
        for number, leaf in enumerate(past.leaves[:count], 1):
            kept = "".join("1" if digest in proven else "0" for _, _, digest in leaf.runs)
            made_of = hashlib.sha256(f"{leaf.runs} {kept} {number == count} {titles(facts, slug)}".encode()).hexdigest()
            ids = [id_ for id_, _, _ in leaf.runs]
            yield runs_address(runbook, number), made_of, ids, maker(runbook, number, leaf, newest=number == count)


def titles(facts: Facts, runbook: str) -> tuple[str, str]:
    """What a page of runs or evidence says of its runbook: its title, and that of its system."""
    book = facts.catalogue.runbooks.get(runbook)
    return (book.title, facts.catalogue.systems[book.system].title) if book else ("", "")
