from __future__ import annotations

import fcntl
import gzip
import json
import re
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from checks.errors import Busy, CatalogueErrors, DataError
from checks.journal import Journal
from checks.model import Status
from checks.site import kept, lost_page, sitemap
from checks.site.macros import macros
from checks.site.publish import Published, current, publish
from tests.site.project import small_project

pytestmark = pytest.mark.slow


def stub_build(root: Path, to: Path, *_: object) -> None:
    """A skeleton of one page, for tests that are about swapping and not about MkDocs."""
    shutil.copyfile(root / "mkdocs.yml", to / "mkdocs.txt")
    (to / "index.html").write_text('<body><span data-live="publication"></span>' + "x" * 20_000 + "</body>")


def test_a_publication_is_whole(published: Published) -> None:
    """A publication holds every page filled, the evidence that they link to, and status.json; no link leads nowhere."""
    site = published.index.parent
    assert published.report.status is Status.CRITICAL
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not re.search(r'data-live="[^"]*"></', text), page
        if page.name != "404.html":
            for target in re.findall(r'(?:href|src)="([^"#:?]+)[#"?]', text):
                assert (page.parent / target).exists(), f"{page} links to {target}"
    status = json.loads((site / "status.json").read_text())
    assert (status["status"], status["worst"], status["publication"]) == ("fail", "critical", published.number)
    metric = status["systems"]["shop"]["metrics"]["shop/error-rate"]
    assert (metric["status"], metric["value"], metric["unit"], metric["critical"]) == ("critical", 12.4, "%", "> 10 %")
    assert status["systems"]["shop"]["metrics"]["shop/latency"]["value"] is None


def test_what_is_not_there_is_told_at_any_depth(published: Published) -> None:
    """The page for a wrong address needs nothing beside it, so that it looks the same below any path, and says where to start."""
    text = (published.index.parent / "404.html").read_text()
    assert re.findall(r'(?:href|src)="([^"]*)"', text) == ["/"]
    assert not re.search(r"<(?:script|style|link)|style=", text)
    assert 'name="color-scheme" content="light dark"' in text
    assert 'href="/ops/runbooks/"' in lost_page.page("Shop & Co", "https://ops.example/ops/runbooks")
    assert "Shop &amp; Co" in lost_page.page("Shop & Co", None)


@pytest.mark.parametrize("page", ["", "<url><loc>https://ops.example/a.html</loc><lastmod>2024-01-01</lastmod></url>"])
def test_a_sitemap_has_pages_or_is_none(page: str, now: datetime, tmp_path: Path) -> None:
    """A sitemap is dated by its publication; where no page has a whole address there is none, as an empty one is not valid."""
    written = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{page}</urlset>'
    (tmp_path / "sitemap.xml").write_text(written)
    (tmp_path / "sitemap.xml.gz").write_bytes(gzip.compress(written.encode()))
    sitemap.date(tmp_path, now)
    assert [path.name for path in sorted(tmp_path.iterdir())] == (["sitemap.xml", "sitemap.xml.gz"] if page else [])
    if page:
        assert "<lastmod>2024-11-12</lastmod>" in (tmp_path / "sitemap.xml").read_text()
        assert gzip.decompress((tmp_path / "sitemap.xml.gz").read_bytes()) == (tmp_path / "sitemap.xml").read_bytes()


def test_each_figure_leads_to_its_cell(published: Published) -> None:
    """From a figure on a system's page one link leads to the evidence, at the cell that measured it."""
    page = published.index.parent / "systems/shop/index.html"
    found = re.search(r'<a href="([^"]+)#(cell-\d+)">12\.4 %</a>', page.read_text())
    assert found
    evidence = (page.parent / found.group(1)).read_text()
    cell = evidence.partition(f'id="{found.group(2)}"')[2].partition("</section>")[0]
    assert "check(&#34;error-rate&#34;)" in cell
    assert "01RUN" in evidence
    assert "shop-1" in evidence


def test_nothing_is_loaded_from_elsewhere(published: Published) -> None:
    """No page asks another machine for a script, a style, a font or a picture."""
    for page in published.index.parent.rglob("*.html"):
        assert not re.search(r'(?:src|srcset)="(?:https?:)?//', page.read_text()), page
        assert not re.search(r'<link[^>]+(?:stylesheet|preconnect|icon)[^>]+href="(?:https?:)?//', page.read_text()), page


def test_a_runbooks_own_code_stays_as_it_is(published: Published) -> None:
    """Templates of other tools in a runbook are shown, not executed."""
    page = (published.index.parent / "systems/shop/runbooks/morning.html").read_text()
    assert "{{ a_template }}" in page
    assert "{{ .Names }}" in page
    assert "{% raw %}" in page
    assert page.count('<section class="pb-step">') == 2


def test_operators_steps_say_so(published: Published) -> None:
    """Each step shows its class; one that changes something says that only operators take it."""
    page = (published.index.parent / "systems/shop/runbooks/clear-cache.html").read_text()
    classes = re.findall(r'<span class="pb-class pb-class-\w+">(\w+)</span>( <span class="pb-soft">operators only</span>)?', page)
    assert [(name, bool(only)) for name, only in classes] == [
        ("read", False),
        ("manual", True),
        ("change", True),
        ("destructive", True),
    ]


def test_the_catalogues_files_are_not_on_the_site(published: Published) -> None:
    """What readers need of system.yml is on the pages; the file itself, with its settings, is not."""
    assert not list(published.index.parent.rglob("*.yml"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '{{ value("shop/eror-rate") }}',
            ["docs/index.md:7: there is no metric `shop/eror-rate`", "did you mean shop/error-rate"],
        ),
        ('{{ metrics("shop", "Weather") }}', ["docs/index.md:7:", "no group of metrics `Weather`", "Errors, Speed, Backups"]),
        ("{{ never_heard_of_it }}", ["docs/index.md:7: 'never_heard_of_it' is undefined"]),
        ("{{ answer( }}", ["docs/index.md:7: unexpected '}'", "found: {{ answer( }}"]),
        ("[a link](nowhere.md)", ["index.md", "nowhere.md"]),
    ],
)
def test_a_broken_page_leaves_the_site(
    written: str, said: list[str], catalogue: Catalogue, journal: Journal, now: datetime, tmp_path: Path
) -> None:
    """A page that cannot be built is named with line, reason and remedy, and readers keep the publication that they have."""
    to = tmp_path / "public"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "build_skeleton", stub_build)
        publish(catalogue, journal, to, now)
    before = (to / "current" / "index.html").read_bytes()
    small_project(catalogue.root, docs__index=f"---\ntitle: Home\n---\n\n# Home\n\n{written}\n")
    with pytest.raises(DataError) as caught:
        publish(load(catalogue.root), journal, to, now)
    for text in said:
        assert text in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert (to / "current" / "index.html").read_bytes() == before
    assert [path.name for path in (to / "publications").iterdir()] == ["0001"]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda macro: macro["status"]("shopp"), "no system `shopp`"),
        (lambda macro: macro["runs"]("shop/evening"), "no runbook `shop/evening`"),
        (lambda macro: macro["tick_run"]("shop/evening"), "no runbook `shop/evening`"),
        (lambda macro: macro["tick"]("shop/eror-rate"), "no metric `shop/eror-rate`"),
        (lambda macro: macro["limit"]("shop/latency", "warning"), "shop/latency has no warning limit"),
        (lambda macro: macro["limit"]("shop/latency", "fatal"), "no limit `fatal`"),
    ],
)
def test_a_macro_refuses_what_is_not_declared(
    call: Callable[[dict[str, Callable[..., str]]], str], what: str, catalogue: Catalogue
) -> None:
    """A macro that is given something unknown raises, and says what there is."""
    with pytest.raises(DataError, match=what) as caught:
        call(macros(catalogue))
    assert caught.value.expected or caught.value.remedy


def test_macros_leave_no_figure(catalogue: Catalogue) -> None:
    """A macro leaves an empty live element; only a declared limit is text, and it is escaped."""
    bound = macros(catalogue)
    assert bound["metrics"]("shop", "Errors") == '<div data-live="metrics:shop/Errors"></div>'
    assert bound["value"]("shop/latency") == '<span data-live="value:shop/latency"></span>'
    assert bound["limit"]("shop/error-rate", "critical") == '<span class="pb-limit">&gt; 10 %</span>'


def test_a_broken_catalogue_leaves_the_site(catalogue: Catalogue, journal: Journal, now: datetime, tmp_path: Path) -> None:
    """Broken YAML is refused with file, line and column, also by the build itself; the site stays."""
    to = tmp_path / "public"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "build_skeleton", stub_build)
        publish(catalogue, journal, to, now)
    before = (to / "current").resolve()
    broken = catalogue.root / "docs/systems/shop/system.yml"
    broken.write_text(broken.read_text().replace('unit: "%"', 'unit: "%'))
    with pytest.raises(CatalogueErrors):
        load(catalogue.root)
    with pytest.raises(DataError, match=r"docs/systems/shop/system\.yml:\d+:\d+"):
        publish(catalogue, journal, to, now)
    assert current(to) == before


def test_three_publications_are_kept(
    catalogue: Catalogue, journal: Journal, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers go up, the newest is current, three stay, and what a killed publisher left is cleared away."""
    monkeypatch.setattr(kept, "build_skeleton", stub_build)
    to = tmp_path / "public"
    (to / "publications" / ".building-killed").mkdir(parents=True)
    numbers = [publish(catalogue, journal, to, now).number for _ in range(5)]
    assert numbers == [1, 2, 3, 4, 5]
    assert sorted(path.name for path in (to / "publications").iterdir()) == ["0003", "0004", "0005"]
    assert (to / "current").readlink() == Path("publications/0005")
    assert not list(to.glob(".current-*"))


def test_a_second_publisher_is_told_to_wait(catalogue: Catalogue, journal: Journal, now: datetime, tmp_path: Path) -> None:
    """While one publishes, another is refused as busy and changes nothing."""
    to = tmp_path / "public"
    to.mkdir()
    with (to / ".publishing").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="another publisher"):
            publish(catalogue, journal, to, now)
    assert current(to) is None


def test_readers_see_one_publication_or_the_next(
    catalogue: Catalogue, journal: Journal, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads throughout twenty swaps never misses the page, never gets half of it, and never goes back in time."""
    monkeypatch.setattr(kept, "build_skeleton", stub_build)
    to = tmp_path / "public"
    publish(catalogue, journal, to, now)
    seen: list[int] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            text = (to / "current" / "index.html").read_text()
            found = re.search(r"Publication (\d+)", text)
            seen.append(int(found.group(1)) if found and text.endswith("</body>") else -1)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(20):
            publish(catalogue, journal, to, now)
    finally:
        ended.set()
        reader.join()
    assert seen == sorted(seen)
    assert min(seen) >= 1
    assert len(set(seen)) > 3
