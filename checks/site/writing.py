"""Writing a publication: what is as it was is linked from the one before, and only what differs is made anew.

The result is the same, byte for byte, as when everything is made anew.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from checks.site import exports, feeds, fill, fragments, further, manifest, own_files
from checks.site.kept import Stamp
from checks.site.manifest import Manifest, Written
from checks.site.watch import Tokens, token, watched, written

if TYPE_CHECKING:
    from checks.site.facts import Facts
    from checks.site.kept import KeptFile, Skeleton

_HOUR = timedelta(hours=1)


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


def evidence_page(digest: str, run_ids: Iterable[str], facts: Facts) -> bytes:
    """The page of an executed notebook."""
    runs = [facts.by_id[run_id] for run_id in run_ids]
    return fragments.evidence_page(facts, digest, facts.archive.get(digest), runs).encode()


def write_evidence(facts: Facts, to: Path) -> None:
    """Write ``evidence/<digest>.html`` for every run that a page may link to, and what else stands beside MkDocs' pages."""
    for address, make in further.pages(facts):
        (to / address).parent.mkdir(parents=True, exist_ok=True)
        (to / address).write_bytes(make(facts))
    runs: dict[str, list[str]] = {}
    for run_id, run in facts.by_id.items():
        if run.evidence and facts.archive.holds(run.evidence):
            runs.setdefault(run.evidence, []).append(run_id)
    (to / "evidence").mkdir(parents=True, exist_ok=True)
    for digest, ids in runs.items():
        (to / "evidence" / f"{digest}.html").write_bytes(evidence_page(digest, sorted(ids), facts))


class Writer:
    """Writes one publication into an empty folder.

    Args:
        to: the folder.
        facts: what is shown.
        before: what may be linked from.

    """

    def __init__(self, to: Path, facts: Facts, before: Before) -> None:
        self._to = to
        self._facts = facts
        self._tokens = Tokens(facts)
        # What tells of the coming month is made once an hour, as of when the hour began.
        self._hourly = replace(facts, now=facts.upto(_HOUR) - _HOUR)
        self._hourly_tokens = Tokens(self._hourly)
        self.manifest = Manifest(manifest.key_of(facts))
        same = before.folder is not None and before.manifest.key == self.manifest.key
        self._before = before if same else Before()
        self._made: set[str] = set()

    def pages(self, skeleton: Skeleton) -> tuple[int, int]:
        """Write every file of a skeleton, its live elements filled.

        Returns:
            how many pages have figures, and how many of them were made anew.

        """
        anew: list[tuple[str, KeptFile]] = []
        count = 0
        for address, file in skeleton.files.items():
            if not file.spots:
                self._link(f"{skeleton.site}/{address}", address)
                continue
            count += 1
            if not self._reuse(address, file.digest):
                anew.append((address, file))
        self._look_at(anew)
        for address, file in anew:
            content = (skeleton.site / address).read_bytes()
            self._make(address, file.digest, partial(fill.fill_spots, content, file.spots, file.body, address))
        self.manifest.assets = sorted(address for address in skeleton.files if address.startswith(f"{own_files.FOLDER}/"))
        return count, len(anew)

    def evidence(self) -> tuple[int, int]:
        """Write ``evidence/<digest>.html`` for every run that a page may link to.

        Returns:
            how many there are, and how many of them were made anew.

        """
        runs: dict[str, list[str]] = {}
        for run_id, digest in self._linked().items():
            if self._facts.archive.stamp(digest):
                runs.setdefault(digest, []).append(run_id)
        anew = []
        for digest, ids in runs.items():
            if not self._reuse(f"evidence/{digest}.html", token(sorted(ids))):
                anew.append(digest)
        self._facts.by_id.need(run_id for digest in anew for run_id in runs[digest])
        for digest in anew:
            ids = sorted(runs[digest])
            self._make(f"evidence/{digest}.html", token(ids), partial(evidence_page, digest, ids))
        return len(runs), len(anew)

    def further(self) -> tuple[int, int]:
        """Write the pages that hold every row of tables that are too long for a page.

        Returns:
            how many there are, and how many of them were made anew.

        """
        found = list(further.pages(self._facts))
        anew = [(address, make) for address, make in found if not self._reuse(address, "")]
        for address, make in anew:
            self._make(address, "", make)
        return len(found), len(anew)

    def exports(self) -> None:
        """Write every export."""
        for address, content in exports.files(self._facts).items():
            path = Path(self._ready(address))
            # A file of the same name among the pages is the skeleton's own.
            path.unlink(missing_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if not self._reuse(exports.CALENDAR, "", self._hourly_tokens):
            self._make(exports.CALENDAR, "", feeds.calendar, self._hourly, self._hourly_tokens)

    def keep_assets(self, others: Iterable[tuple[Path, Iterable[str]]]) -> None:
        """Keep what the pages of other publications load, for readers who have just got one of those."""
        for folder, addresses in others:
            for address in addresses:
                if (folder / address).is_file() and not (self._to / address).exists():
                    self._link(f"{folder}/{address}", address)

    def _linked(self) -> dict[str, str]:
        """The evidence of each run that a page may link to; of a runbook whose runs are as they were it is known."""
        facts, found = self._facts, dict[str, str]()
        changed = []
        for slug in facts.catalogue.runbooks:
            mark = facts.runs.version(slug)
            known = self._before.manifest.linked.get(slug)
            if known and known[0] == mark:
                self.manifest.linked[slug] = known
                found |= known[1]
            else:
                changed.append((slug, mark))
        facts.runs.need(slug for slug, _ in changed)
        for slug, mark in changed:
            those = {run.id: run.evidence for run in facts.runs[slug] if run.evidence}
            self.manifest.linked[slug] = (mark, those)
            found |= those
        others = facts.by_id.others - found.keys()
        facts.by_id.need(others)
        return found | {run.id: run.evidence for id_ in others if (run := facts.by_id.get(id_)) and run.evidence}

    def _reuse(self, address: str, made_of: str, tokens: Tokens | None = None) -> bool:
        known = self._before.manifest.files.get(address)
        folder = self._before.folder
        if known is None or folder is None or known.made_of != made_of or Stamp.of(f"{folder}/{address}") != known.stamp:
            return False
        if (tokens or self._tokens).digest(known.paths) != known.facts:
            return False
        self._link(f"{folder}/{address}", address)
        self.manifest.files[address] = known
        return True

    def _make(
        self,
        address: str,
        made_of: str,
        make: Callable[[Facts], bytes],
        known: Facts | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        facts, noted = watched(known or self._facts)
        content = make(facts)
        path = Path(self._ready(address))
        path.write_bytes(content)
        stamp = Stamp.of(path)
        if stamp is not None:
            paths = written(noted)
            self.manifest.files[address] = Written(made_of, (tokens or self._tokens).digest(paths), paths, stamp)

    def _look_at(self, pages: Iterable[tuple[str, KeptFile]]) -> None:
        """Read what the pages of whole systems will show in a few questions."""
        names = {spot.place.argument.partition("#")[0].partition("/")[0] for _, file in pages for spot in file.spots}
        self._facts.look_at([name for name in self._facts.catalogue.systems if name in names])

    def _link(self, source: str, address: str) -> None:
        path = self._ready(address)
        try:
            os.link(source, path)
        except OSError as error:
            # Some file systems have no links, none has them to another one, and a file may have only so many.
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            shutil.copy2(source, path)

    def _ready(self, address: str) -> str:
        parent = posixpath.dirname(address)
        if parent not in self._made:
            (self._to / parent).mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        return f"{self._to}/{address}"
