"""Writing a publication: what is as it was is linked from the one before, and only what differs is made anew.

The result is the same, byte for byte, as when everything is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from checks.site import exports, feeds, fill, fragments, manifest, own_files, past, pictures
from checks.site.folder import Folder
from checks.site.further import pages as further_pages
from checks.site.kept import Stamp
from checks.site.manifest import Manifest, Written
from checks.site.sharing import shared
from checks.site.watch import Tokens, watched, written

if TYPE_CHECKING:
    from checks.site.evidence import Evidence
    from checks.site.facts import Facts
    from checks.site.kept import KeptFile, Skeleton
    from checks.site.live import Spot

_HOUR = timedelta(hours=1)
_RUNS_TOLD = 5
_OF_RESULTS = ("step", "step-status")


@dataclass(frozen=True, slots=True)
class Before:
    """The publication that readers see while the next one is written; its folder is ``None`` where there is none."""

    folder: Path | None = None
    manifest: Manifest = field(default_factory=lambda: Manifest(""))


@dataclass(frozen=True, slots=True)
class Counted:
    """How much was written: pages with figures and pages of evidence, and how many of both differ from before."""

    pages: int
    evidence: int
    rewritten: int


def evidence_page(digest: str, evidence: Evidence | None, run_ids: Sequence[str], facts: Facts) -> bytes:
    """The page of an executed notebook."""
    # Runs that left the very same bytes are rare, and there may be any number of them.
    runs = [facts.by_id[run_id] for run_id in run_ids[-_RUNS_TOLD:]]
    return fragments.evidence_page(facts, digest, evidence, runs, len(run_ids) - len(runs)).encode()


def write_evidence(facts: Facts, to: Path) -> None:
    """Write ``evidence/<digest>.html`` for every run that a page may link to, and what else stands beside MkDocs' pages."""

    def write(address: str, content: bytes) -> None:
        (to / address).parent.mkdir(parents=True, exist_ok=True)
        (to / address).write_bytes(content)

    for page in further_pages(facts):
        write(page.address, page.make(facts))
    runs: dict[str, list[str]] = {}
    for run_id, run in facts.by_id.items():
        if run.evidence and facts.archive.holds(run.evidence):
            runs.setdefault(run.evidence, []).append(run_id)
    for digest, ids in runs.items():
        evidence = facts.archive.once(digest)
        write(f"evidence/{digest}.html", evidence_page(digest, evidence, sorted(ids), facts))
        for picture in evidence.pictures.values() if evidence else ():
            write(picture.address, picture.content)


class _Page(NamedTuple):
    """A page that is made of facts.

    Attributes:
        made_of: what it is made of beside them.
        spots: its live elements, where it is one of MkDocs'.
        runs: ids of the runs that it lists, where it is one of a runbook's past, which outlives what is declared.

    """

    address: str
    made_of: str
    make: Callable[[Facts], bytes]
    spots: tuple[Spot, ...] = ()
    runs: Sequence[str] = ()


class Writer:
    """Writes one publication into a folder.

    Args:
        to: the folder; empty, or with the files of an older publication, which are left where they would be the same.
        facts: what is shown.
        before: what may be linked from.

    """

    def __init__(self, to: Path, facts: Facts, before: Before) -> None:
        self.folder = Folder(to)
        self._facts = facts
        self._tokens = Tokens(facts)
        # What tells of the coming month is made once an hour, as of when the hour began.
        self._hourly = replace(facts, now=facts.upto(_HOUR) - _HOUR)
        self._hourly_tokens = Tokens(self._hourly)
        self.manifest = Manifest(manifest.key_of(facts))
        same = before.folder is not None and before.manifest.key == self.manifest.key
        self._before = before if same else Before()
        # Runs and evidence are what they were, whatever was declared since.
        self.manifest.lasting = manifest.lasting_key_of(facts)
        lasting = before.folder is not None and before.manifest.lasting == self.manifest.lasting
        self._before_lasting = before if lasting else Before()
        self.manifest.pasts = past.pasts_of(facts, self._before_lasting.manifest.pasts)
        self._last = before.folder
        self._proven = 0
        self._anew: set[str] = set()

    def write(self, skeleton: Skeleton) -> Counted:
        """Write everything that readers see: the pages of a skeleton with their live elements filled, and what stands beside."""
        pages: list[_Page] = []
        for address, file in skeleton.files.items():
            if file.spots:
                pages.append(_Page(address, file.digest, partial(_filled, skeleton, address, file), file.spots))
            else:
                self.folder.link(f"{skeleton.site}/{address}", address)
        self.manifest.assets = sorted(address for address in skeleton.files if address.startswith(f"{own_files.FOLDER}/"))
        anew = self._make_all(pages, self._beside)
        further = [_Page(page.address, page.made_of, page.make) for page in further_pages(self._facts)]
        # What they say follows from the evidence that was found beside.
        runs = past.pages(self._facts, self.manifest.pasts, self.manifest.proofs)
        further += [_Page(address, made_of, make, runs=ids) for address, made_of, ids, make in runs]
        anew += self._make_all(further)
        return Counted(len(pages) + len(further), len(self.manifest.proofs), anew + self._proven)

    def _beside(self) -> None:
        self._proven = self._evidence()
        self._exports()

    def _evidence(self) -> int:
        """Write ``evidence/<digest>.html`` for every run of the journal, and for every other one that a page links to.

        Returns:
            how many of them were made anew.

        """
        # There may be very many, so little is asked of each that is as it was.
        runs: dict[str, list[str]] = {}
        about: dict[str, str] = {}
        for run_id, digest, slug in self._proofs():
            if digest not in runs:
                stamp = self._facts.archive.stamp(digest)
                if not stamp:
                    continue
                about[digest] = f"{stamp} {past.titles(self._facts, slug)}"
                runs[digest] = []
            runs[digest].append(run_id)
        anew = [digest for digest, ids in runs.items() if not self._prove_again(digest, f"{about[digest]} {sorted(ids)}")]
        self._facts.by_id.need(run_id for digest in anew for run_id in runs[digest])
        latest = {run.evidence for run in self._facts.latest_runs.values()}
        for digest in anew:
            # That of a latest run is shown by its runbook's page, too.
            archive = self._facts.archive
            evidence = archive.get(digest) if digest in latest else archive.once(digest)
            page = evidence_page(digest, evidence, sorted(runs[digest]), self._facts)
            put = self.folder.put(f"evidence/{digest}.html", page)
            self._draw(digest, evidence)
            made_of = manifest.short(f"{about[digest]} {sorted(runs[digest])}")
            self.manifest.proofs[digest] = (made_of, put.size, put.changed_ns)
        return len(anew)

    def _prove_again(self, digest: str, made_of: str) -> bool:
        """Take over a page of evidence, where it would be the same."""
        known = self._before_lasting.manifest.proofs.get(digest)
        if known is None or known[0] != manifest.short(made_of):
            return False
        here, drawn = self._before_lasting.folder, self._before_lasting.manifest.pictures.get(digest, {})
        found = {pictures.address(one): Stamp(*stamp) for one, stamp in drawn.items()}
        if any(Stamp.of(f"{here}/{one}") != stamp for one, stamp in found.items()):
            return False
        address = f"evidence/{digest}.html"
        if not self.folder.take_over(f"{here}/{address}", address, Stamp(known[1], known[2])):
            return False
        for one in found:
            self.folder.link(f"{here}/{one}", one)
        self.manifest.proofs[digest] = known
        if drawn:
            self.manifest.pictures[digest] = drawn
        return True

    def _draw(self, digest: str, evidence: Evidence | None) -> None:
        """Write the pictures that a notebook drew; each is written once, however many have it."""
        drawn = {}
        for picture in evidence.pictures.values() if evidence else ():
            if picture.address not in self.folder.wanted:
                self.folder.put(picture.address, picture.content)
            if stamp := self.folder.stamp(picture.address):
                drawn[picture.digest] = (stamp.size, stamp.changed_ns)
        if drawn:
            self.manifest.pictures[digest] = drawn

    def _proofs(self) -> Iterator[tuple[str, str, str]]:
        """Each run that has evidence: its id, the digest of that, and its runbook."""
        told: set[str] = set()
        for slug, known in self.manifest.pasts.items():
            for run_id, digest in known.evidence.items():
                told.add(run_id)
                yield run_id, digest, slug
        others = self._facts.by_id.others - told
        self._facts.by_id.need(others)
        for run_id in sorted(others):
            run = self._facts.by_id.get(run_id)
            if run is not None and run.evidence:
                yield run_id, run.evidence, run.runbook

    def _exports(self) -> None:
        for address, made in exports.files(self._facts).items():
            content = made if isinstance(made, bytes) else made.encode()
            # Most say what they said before, and a file costs more to write, and to clear away one day, than to look at.
            if self._last and _holds(f"{self._last}/{address}", content):
                self.folder.link(f"{self._last}/{address}", address)
            else:
                self.folder.put(address, content)
        if not self._reuse(exports.CALENDAR, "", self._hourly_tokens):
            self._make(_Page(exports.CALENDAR, "", feeds.calendar), self._hourly, self._hourly_tokens)

    def keep_assets(self, others: Iterable[tuple[Path, Iterable[str]]]) -> None:
        """Keep what the pages of other publications load, for readers who have just got one of those."""
        for folder, addresses in others:
            for address in addresses:
                if address not in self.folder.wanted and (folder / address).is_file():
                    self.folder.link(f"{folder}/{address}", address)

    def _reuse(self, address: str, made_of: str, tokens: Tokens | None = None, before: Before | None = None) -> bool:
        before = before or self._before
        known = before.manifest.files.get(address)
        folder = before.folder
        if known is None or folder is None or known.made_of != made_of:
            return False
        if (tokens or self._tokens).digest(known.paths) != known.facts:
            return False
        if not self.folder.take_over(f"{folder}/{address}", address, known.stamp):
            return False
        self.manifest.files[address] = known
        return True

    def _make(self, page: _Page, known: Facts | None = None, tokens: Tokens | None = None) -> Written:
        facts, noted = watched(known or self._facts)
        stamp = self.folder.put(page.address, page.make(facts))
        paths = written(noted)
        made = Written(page.made_of, (tokens or self._tokens).digest(paths), paths, stamp)
        self.manifest.files[page.address] = made
        return made

    def _make_all(self, pages: Sequence[_Page], meanwhile: Callable[[], None] = lambda: None) -> int:
        """Make pages where they would not be as they were, with other processes where there are many.

        Returns:
            how many were made anew.

        """
        # A connection to a server is not for two processes; to a file, each question has its own.
        alone = not self._facts.catalogue.settings.journal.startswith("sqlite:")
        made = shared(pages, self._noted, first=self._choose, meanwhile=meanwhile, alone=alone)
        for page, noted in zip(pages, made, strict=True):
            self.folder.wanted.add(page.address)
            if noted is None:
                self.manifest.files[page.address] = self._before_of(page).manifest.files[page.address]
            else:
                facts, paths, size, changed_ns = noted
                self.manifest.files[page.address] = Written(page.made_of, facts, tuple(paths), Stamp(size, changed_ns))
        return sum(noted is not None for noted in made)

    def _choose(self, pages: Sequence[_Page]) -> None:
        """Take over the pages that would be as they were, and read what the others will show in a few questions."""
        anew = [page for page in pages if not self._reuse(page.address, page.made_of, before=self._before_of(page))]
        self._anew = {page.address for page in anew}
        self._look_at(anew)

    def _before_of(self, page: _Page) -> Before:
        return self._before_lasting if page.runs else self._before

    def _noted(self, page: _Page) -> tuple[str, tuple[str, ...], int, int] | None:
        """Make a page; what is noted of it, and ``None`` where it was taken over."""
        if page.address not in self._anew:
            return None
        made = self._make(page)
        return made.facts, made.paths, made.stamp.size, made.stamp.changed_ns

    def _look_at(self, pages: Sequence[_Page]) -> None:
        self._facts.by_id.need(id_ for page in pages for id_ in page.runs)
        places = [spot.place for page in pages for spot in page.spots]
        names = {place.argument.partition("#")[0].partition("/")[0] for place in places}
        self._facts.look_at([name for name in self._facts.catalogue.systems if name in names])
        self._facts.results.need({place.argument.partition("#")[0]: None for place in places if place.kind in _OF_RESULTS})
        plotted = [place.argument for place in places if place.kind == "plots"]
        self._facts.limits.need(plotted)
        for summed in (self._facts.daily, *self._facts.stretches.values()):
            summed.need(plotted)


def _filled(skeleton: Skeleton, address: str, file: KeptFile, facts: Facts) -> bytes:
    with open(f"{skeleton.site}/{address}", "rb", buffering=0) as built:  # noqa: PTH123 - there may be thousands
        return fill.fill_spots(built.readall(), file.spots, file.body, address, facts)


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - one of each system
            return file.read() == content
    except OSError:
        return False
