from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from signal import SIGKILL
from time import monotonic, sleep
from typing import Any

import pytest

from checks.catalogue import Catalogue, load
from checks.errors import DataError
from checks.journal import Journal, open_journal
from checks.model import Run, RunState, Status, Trigger
from checks.respond import archive
from checks.site import kept, sharing, sources
from checks.site.publish import Published, publish
from checks.site.shelf import Shelf
from checks.site.writing import Writer
from tests.shared import built_project
from tests.site.history import keep_evidence, morning_cells, record
from tests.site.project import SYSTEM, small_project

pytestmark = pytest.mark.slow

MOMENT = datetime.fromisoformat("2024-11-12T10:42:10+00:00")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@dataclass(slots=True)
class Shop:
    """A project with a journal that is published again and again."""

    catalogue: Catalogue
    journal: Journal
    to: Path
    now: datetime = MOMENT

    def publish(self, after: timedelta = timedelta(seconds=30)) -> Published:
        """The next publication, some time later."""
        self.now += after
        return publish(self.catalogue, self.journal, self.to, self.now)

    def clean(self, number: int, folder: Path) -> Path:
        """The same publication made where there is none before it."""
        shelf = Shelf(folder)
        shelf.folder(number - 1).mkdir(parents=True)
        made = publish(self.catalogue, self.journal, folder, self.now)
        assert made.number == number
        return made.folder


@pytest.fixture(scope="module")
def skeleton_of_the_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, whose skeleton was built once."""
    root = tmp_path_factory.mktemp("incremental") / "project"
    built_project(root, tmp_path_factory)
    return root


@pytest.fixture
def shop(skeleton_of_the_shop: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop with one run and one publication."""
    catalogue = load(skeleton_of_the_shop)
    for old in ("journal.db", "evidence"):
        path = catalogue.settings.state / old
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    with open_journal(catalogue.settings.journal) as journal:
        record(catalogue, journal, MOMENT - timedelta(minutes=2), {"error-rate": 0.4, "latency": 90.0, "backup-age": 4.0})
        opened = Shop(catalogue, journal, tmp_path / "public")
        opened.publish()
        yield opened


def failed(shop: Shop) -> None:
    record(
        shop.catalogue,
        shop.journal,
        shop.now,
        {},
        run_id="01FAILED",
        state=RunState.FAILED,
        reason="cell 2 failed",
        cells=morning_cells(error="exit status 3"),
    )


def began(shop: Shop) -> None:
    run = Run(
        id="01BEGAN",
        runbook="shop/clear-cache",
        system="shop",
        environment="staging",
        trigger=Trigger.OPERATOR,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=shop.now,
    )
    shop.journal.start_run(run)


def ended(shop: Shop) -> None:
    began = shop.journal.run("01BEGAN")
    assert began is not None
    evidence = keep_evidence(shop.catalogue, morning_cells(said="cleared\n"))
    end = {"state": RunState.FINISHED, "status": Status.OK, "evidence": evidence, "ended_at": shop.now}
    shop.journal.finish_run(replace(began, **end), [])  # type: ignore[arg-type]


def evidence_altered(shop: Shop) -> None:
    digest = shop.journal.latest_runs("staging")["shop/morning"].evidence or ""
    path = shop.catalogue.settings.state / "evidence" / digest[:2] / f"{digest}.ipynb"
    path.write_text(path.read_text().replace("check", "chalk"))


def evidence_gone(shop: Shop) -> None:
    digest = shop.journal.latest_runs("staging")["shop/morning"].evidence or ""
    (shop.catalogue.settings.state / "evidence" / digest[:2] / f"{digest}.ipynb").unlink()


def many_runs(shop: Shop) -> None:
    for number in range(25):
        at = shop.now - timedelta(hours=3, minutes=number)
        record(shop.catalogue, shop.journal, at, {"latency": 100.0 + number}, run_id=f"01MANY{number:02d}")


def frozen(shop: Shop) -> None:
    assert archive.freeze(shop.catalogue, shop.journal, "staging", shop.now) > 0


WHAT_HAPPENS: tuple[tuple[str, Callable[[Shop], object] | None, timedelta], ...] = (
    ("nothing", None, timedelta(seconds=30)),
    (
        "a metric turns critical",
        lambda shop: record(shop.catalogue, shop.journal, shop.now, {"error-rate": 12.4}, run_id="01CRITICAL"),
        timedelta(minutes=1),
    ),
    (
        "one cannot be measured",
        lambda shop: record(shop.catalogue, shop.journal, shop.now, {"latency": "no answer"}, run_id="01UNMEASURED"),
        timedelta(minutes=1),
    ),
    ("a run fails", failed, timedelta(minutes=1)),
    ("an operator begins", began, timedelta(minutes=1)),
    ("the operator ends", ended, timedelta(minutes=1)),
    ("older runs come late", many_runs, timedelta(minutes=1)),
    ("evidence is altered", evidence_altered, timedelta(minutes=1)),
    ("evidence is lost", evidence_gone, timedelta(minutes=1)),
    ("an hour passes, and results turn stale", None, timedelta(hours=1, minutes=5)),
    ("midnight passes", None, timedelta(hours=13)),
    ("reports of what is over are written down", frozen, timedelta(minutes=1)),
    ("days pass", None, timedelta(days=40)),
    ("more are written down", frozen, timedelta(minutes=1)),
    ("the clock is set back", None, timedelta(days=-40)),
)


def test_each_publication_is_what_a_clean_build_is(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has happened since the last one, a publication has the very bytes that it has when all of it is made anew.

    It is made by two processes, and the clean one by one of them.
    """
    monkeypatch.setattr(sharing, "_EACH", 1)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    for step, (what, happens, after) in zip(count(), WHAT_HAPPENS, strict=False):
        if happens is not None:
            happens(shop)
        monkeypatch.setattr(sharing, "_processors", lambda: 2)
        made = shop.publish(after)
        monkeypatch.setattr(sharing, "_processors", lambda: 1)
        clean = tree(shop.clean(made.number, tmp_path / f"clean-{step}"))
        again = tree(made.folder)
        assert again.keys() == clean.keys(), what
        assert [address for address in clean if again[address] != clean[address]] == [], what


def test_what_a_killed_helper_began_is_made_whole(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is killed amid its pages changes nothing: the publication has the bytes that a clean one has."""
    monkeypatch.setattr(sharing, "_EACH", 1)
    monkeypatch.setattr(sharing, "_processors", lambda: 2)
    here, killed = os.getpid(), tmp_path / "killed"
    noted, beside = Writer._noted, Writer._beside

    def amid(writer: Writer, page: Any) -> Any:
        found = noted(writer, page)
        if os.getpid() != here:
            killed.touch()
            os.kill(os.getpid(), SIGKILL)
        return found

    def after_it(writer: Writer) -> None:
        until = monotonic() + 10
        while not killed.exists() and monotonic() < until:
            sleep(0.005)
        beside(writer)

    for number in range(5):  # the first into nothing, the last ones into the folder of an older one
        record(shop.catalogue, shop.journal, shop.now, {"error-rate": 1.0 + number}, run_id=f"01RUN{number}")
        with monkeypatch.context() as patched:
            patched.setattr(threading, "active_count", lambda: 1)
            patched.setattr(Writer, "_noted", amid)
            patched.setattr(Writer, "_beside", after_it)
            made = shop.publish()
        assert killed.exists()
        killed.unlink()
        monkeypatch.setattr(sharing, "_processors", lambda: 1)
        assert tree(made.folder) == tree(shop.clean(made.number, tmp_path / f"clean-{number}"))
        monkeypatch.setattr(sharing, "_processors", lambda: 2)


def test_only_what_differs_is_written(shop: Shop) -> None:
    """Where nothing was measured only Home is written, which says when it was built; all other pages are the same files."""
    before = shop.publish()
    after = shop.publish()
    assert after.rewritten == 1
    pages = [path.relative_to(after.folder) for path in after.folder.rglob("*.html")]
    assert [str(page) for page in pages if not (after.folder / page).samefile(before.folder / page)] == ["index.html"]


def test_a_page_of_another_system_is_left(shop: Shop) -> None:
    """A new result of one metric leaves the pages of those alone that do not show it."""
    before = shop.publish()
    record(shop.catalogue, shop.journal, shop.now, {"error-rate": 0.5}, run_id="01NEW")
    after = shop.publish()
    page = "systems/shop/metrics/{}.html".format
    assert not (after.folder / page("error-rate")).samefile(before.folder / page("error-rate"))
    assert (after.folder / page("latency")).samefile(before.folder / page("latency"))


def test_a_publication_is_never_changed(shop: Shop) -> None:
    """What readers may still have open stays as it was, to the last byte, though the next ones are made of old ones' files."""
    known: dict[Path, dict[str, bytes]] = {}
    reused = 0
    for number in range(6):
        record(shop.catalogue, shop.journal, shop.now, {"error-rate": 1.0 + number}, run_id=f"01RUN{number}")
        spare = next(iter(shop.to.glob(".spare-*")), None)
        page = spare and (spare / "404.html").stat().st_ino
        made = shop.publish().folder
        reused += page == (made / "404.html").stat().st_ino
        known[made] = tree(made)
        for folder in list(known)[-3:]:
            assert tree(folder) == known[folder]
    assert reused >= 2


def test_what_somebody_altered_is_not_carried_on(shop: Shop) -> None:
    """A published page that somebody has edited is made anew; the edit does not live on."""
    page = shop.publish().folder / "systems/shop/checklist.html"
    good = page.read_bytes()
    page.write_text("all is well")
    assert (shop.publish().folder / "systems/shop/checklist.html").read_bytes() == good


def test_a_file_system_without_links_gets_copies(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be linked they are copied, and the publication is the same."""
    before = shop.publish()

    def no_link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    after = shop.publish()
    assert after.rewritten == 1
    assert tree(after.folder).keys() == tree(before.folder).keys()


def test_what_pages_of_the_last_publications_load_stays(shop: Shop) -> None:
    """A reader who has a page of the publication before still gets its style and script from the next one."""
    before = shop.publish()
    manifest = Shelf(shop.to).manifest(before.number)
    old = "assets/proofbook/proofbook.00000000.css"
    (before.folder / old).write_text("old")
    manifest.write_text(manifest.read_text().replace('"assets": [', f'"assets": ["{old}", '))
    assert (shop.publish().folder / old).read_text() == "old"


def test_a_skeleton_is_built_when_its_text_changes(skeleton_of_the_shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MkDocs builds again when a page, a notebook, the catalogue or the settings change, and not when nothing does."""
    built: list[str] = []

    def build(_root: Path, to: Path, *_: object) -> None:
        built.append("")
        (to / "index.html").write_text("<body></body>")

    monkeypatch.setattr(kept, "build_skeleton", build)

    def builds() -> bool:
        before = len(built)
        with kept.skeleton(load(skeleton_of_the_shop)):
            return len(built) > before

    assert not builds()
    for name in ("docs/index.md", "notebooks/shop/morning.md", "docs/systems/shop/system.yml", "mkdocs.yml"):
        path = skeleton_of_the_shop / name
        text = path.read_text()
        path.write_text(text + "\n")
        assert builds(), name
        assert not builds(), name
        path.write_text(text)
    (skeleton_of_the_shop / "notebooks/shop/morning.ipynb").write_text("{}")
    (skeleton_of_the_shop / "docs/new.md").write_text("# New")
    assert builds()
    (skeleton_of_the_shop / "docs/new.md").unlink()
    with kept.skeleton(load(skeleton_of_the_shop)) as found:
        (found.site / "index.html").write_text("somebody was here")
    assert builds()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("hooks: [hook.py]\n", "hooks"),
        ("markdown_extensions: [pymdownx.snippets]\n", "snippets"),
        ("markdown_extensions: [mine]\n", "mine"),
    ],
)
def test_what_cannot_be_known_is_not_kept(settings: str, why: str, tmp_path: Path) -> None:
    """Where an author's own code takes part in the build nothing is kept, as nobody knows what it reads."""
    root = small_project(tmp_path)
    (root / "mkdocs.yml").write_text(f"{(root / 'mkdocs.yml').read_text()}{settings}")
    seen = sources.read(load(root), tmp_path / "memory.json")
    assert seen.key is None
    assert why in seen.why


def test_pages_declared_anew_are_all_filled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When what is declared changes no page with figures is carried over, whatever they are; evidence is what it was."""
    root = small_project(tmp_path / "project")

    def build(_root: Path, to: Path, *_: object) -> None:
        (to / "index.html").write_text('<body><span data-live="value:shop/latency"></span></body>')

    monkeypatch.setattr(kept, "build_skeleton", build)
    (root / ".proofbook").mkdir()
    with open_journal(load(root).settings.journal) as journal:
        record(load(root), journal, MOMENT, {"latency": 90.0})
        publish(load(root), journal, tmp_path / "public", MOMENT)
        assert publish(load(root), journal, tmp_path / "public", MOMENT).rewritten == 0
        path = root / "docs/systems/shop/system.yml"
        path.write_text(SYSTEM.replace("> 500 ms", "> 50 ms"))
        assert publish(load(root), journal, tmp_path / "public", MOMENT).rewritten == 1


EDITS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "text, a heading with links, a notebook, a limit",
        (
            ("docs/systems/shop/checklist.md", "The bread smells right", "The bread smells [right](index.md#who-answers)"),
            ("docs/systems/shop/index.md", "## Errors only", "## Errors alone\n\n[See](#errors-alone)\n"),
            ("notebooks/shop/morning.md", "Do this before you open.", "Do this before anybody comes."),
            ("docs/systems/shop/system.yml", "> 500 ms", "> 400 ms"),
        ),
    ),
    ("a title, which every page shows", (("notebooks/shop/clear-cache.md", "title: Empty the cache", "title: Clear the cache"),)),
)


def test_edited_text_is_built_as_a_clean_build_is(tmp_path: Path) -> None:
    """After text was edited only the pages that it touches are rendered, and the skeleton is what it is when all are.

    It takes several seconds, as MkDocs builds the project five times.
    """
    root = small_project(tmp_path / "project")
    known = root / ".proofbook/skeleton/pages/known"
    page = "systems/shop/metrics/error-rate.html"
    with kept.skeleton(load(root)) as built:
        site = built.site
    for (what, changes), left in zip(EDITS, (True, False), strict=True):
        rendered = {path.stat().st_ino for path in known.iterdir()}
        for name, before, after in changes:
            path = root / name
            assert before in path.read_text(), name
            path.write_text(path.read_text().replace(before, after))
        was = (site / page).stat().st_ino
        with kept.skeleton(load(root)) as built:
            site, made = built.site, tree(built.site)
        assert ((site / page).stat().st_ino == was) is left, what
        clean = tmp_path / "clean"
        clean.mkdir(exist_ok=True)
        kept.build_skeleton(root, clean, sources.read(load(root), tmp_path / "memory.json").newest)
        assert made.keys() == (whole := tree(clean)).keys(), what
        assert [address for address in whole if made[address] != whole[address]] == [], what
        spared = [path for path in known.iterdir() if path.stat().st_ino in rendered]
        assert len(spared) >= 4, what


def test_a_page_that_was_refused_is_not_spared(tmp_path: Path) -> None:
    """What was rendered in a build that failed is rendered again: a warning is never silenced by having been given once."""
    root = small_project(tmp_path / "project", docs__index="# Home\n\n[nowhere](nowhere.md)\n")
    for _ in range(2):
        with pytest.raises(DataError, match=r"nowhere\.md"), kept.skeleton(load(root)):
            pass
