"""What a publisher notes about a publication, so that the next one writes only what would differ."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from checks.site import sources
from checks.site.kept import Stamp
from checks.site.past import Past

if TYPE_CHECKING:
    from checks.site.facts import Facts

_FORMAT = 4


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was made from facts.

    Attributes:
        made_of: a digest of what it was made of beside facts.
        facts: a digest of the facts that it was made of.
        paths: which facts those are; see `checks.site.watch`.
        stamp: of the file as it was written.

    """

    made_of: str
    facts: str
    paths: tuple[str, ...]
    stamp: Stamp


@dataclass(slots=True)
class Manifest:
    """A publication as its publisher knows it.

    Attributes:
        key: a digest of what every page depends on: the programs, what is declared, for whom it is shown.
        files: what was made from facts, by address.
        lasting: a digest of what pages of runs and evidence depend on, which outlive what is declared.
        pasts: by runbook, all of its runs.
        proofs: by digest, each page of evidence: what it was made of, its size, and when it was written.
        pictures: by digest of evidence that has any, each picture by its own digest: its size, and when it was written.
        assets: the files whose addresses carry a digest, which the pages of this publication load.

    """

    key: str
    files: dict[str, Written] = field(default_factory=dict)
    lasting: str = ""
    pasts: dict[str, Past] = field(default_factory=dict)
    proofs: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    pictures: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    assets: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        files = {address: [w.made_of, w.facts, w.paths, w.stamp.size, w.stamp.changed_ns] for address, w in self.files.items()}
        head = {"format": _FORMAT, "key": self.key, "lasting": self.lasting, "assets": self.assets}
        lines = (head, files, {slug: past.written() for slug, past in self.pasts.items()}, self.proofs, self.pictures)
        aside = path.with_name(f".{path.name}")
        aside.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
        aside.replace(path)
        if stamp := Stamp.of(path):
            _LAST.clear()
            _LAST[path, stamp] = self


_LAST: dict[tuple[Path, Stamp], Manifest] = {}
"""The manifest that this process wrote last, which the next publication begins with."""


def read(path: Path) -> Manifest:
    """Read a manifest; an empty one where it is missing or not ours."""
    stamp = Stamp.of(path)
    if stamp and (path, stamp) in _LAST:
        return _LAST[path, stamp]
    try:
        head, files, pasts, proofs, pictures = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        if head["format"] != _FORMAT:
            return Manifest("")
        written = {
            address: Written(made_of, facts, tuple(paths), Stamp(size, changed_ns))
            for address, (made_of, facts, paths, size, changed_ns) in files.items()
        }
        found = {slug: Past.read(past) for slug, past in pasts.items()}
        proven = {digest: (made_of, size, changed) for digest, (made_of, size, changed) in proofs.items()}
        drawn = {digest: {one: (size, changed) for one, (size, changed) in some.items()} for digest, some in pictures.items()}
        return Manifest(head["key"], written, head["lasting"], found, proven, drawn, head["assets"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Manifest("")


def assets(path: Path) -> list[str]:
    """The files of a publication whose addresses carry a digest; none where its manifest is missing or not ours."""
    try:
        with path.open(encoding="utf-8") as opened:
            return [str(address) for address in json.loads(opened.readline())["assets"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def key_of(facts: Facts) -> str:
    """A digest of what every page of a publication depends on, whatever it reads of the journal."""
    shown = (facts.catalogue.settings.site_name, str(facts.zone), facts.environment, facts.preview)
    return hashlib.sha256("\n".join([sources.programs(), repr(shown), facts.catalogue.digest()]).encode()).hexdigest()


def lasting_key_of(facts: Facts) -> str:
    """A digest of what every page of runs and evidence depends on: they are made once, whatever is declared afterwards."""
    shown = (facts.catalogue.settings.site_name, str(facts.zone), facts.environment)
    return hashlib.sha256("\n".join([sources.programs(), repr(shown)]).encode()).hexdigest()


def short(text: str) -> str:
    """A short digest, for what is noted of very many files."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
