"""Pictures that cells drew: files of their own beside the pages that show them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from checks.catalogue import Catalogue
from checks.journal import Journal, open_journal
from checks.site import pictures, writing
from checks.site.evidence import Archive, Evidence
from checks.site.facts import gather
from checks.site.publish import Published, publish
from tests.shared import built_project
from tests.site.history import drawn, keep_evidence, png, record

NOW = datetime.fromisoformat("2024-11-12T10:42:10+00:00")
A_PAGE = 300_000
LARGE = png(shade=40, behind=b"x" * 1_900_000)
CELLS = [
    new_markdown_cell("## Errors stay low"),
    new_code_cell("plot()", execution_count=1, outputs=[drawn(png(640, 480)), drawn(LARGE, alt='Errors "by" <hour>')]),
    new_markdown_cell("## The newest backup is whole"),
    new_code_cell("plot()", execution_count=2, outputs=[drawn(png(640, 480), width=320, height=240)]),
]


def _encoded(content: bytes) -> str:
    return str(drawn(content)["data"]["image/png"])


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("no base64!", "cannot be read"),
        (_encoded(b"<svg onload=pwn()>"), "cannot be read"),
        (_encoded(png()[:-6]), "cannot be read"),
        (_encoded(png()[:30] + b"?" + png()[31:]), "cannot be read"),
        (_encoded(png(0, 4)), "0 by 4 pixels that is not shown"),
        (_encoded(png(60_000, 60_000)), "60,000 by 60,000 pixels that is not shown"),
        (_encoded(png(behind=b"x" * 2_000_000)), "that is not shown; the evidence file has it"),
    ],
)
def test_what_is_no_picture_is_told(encoded: str, why: str) -> None:
    """What is no whole PNG, too large for a page, or too large for a browser's memory, is said to be so instead of shown."""
    found = pictures.read(encoded, {})
    assert isinstance(found, str)
    assert why in found


def test_a_picture_ends_where_it_ends() -> None:
    """What somebody put behind the end of a picture does not come to the site."""
    found = pictures.read(_encoded(png() + b"<script>pwn()</script>"), {})
    assert not isinstance(found, str)
    assert found.content == png()
    assert found.address == f"evidence/images/{hashlib.sha256(png()).hexdigest()}.png"


@pytest.mark.parametrize(
    ("about", "said", "size"),
    [
        ({}, "", (8, 6)),
        ({"alt": " Errors\n by hour "}, "Errors by hour", (8, 6)),
        ({"alt": ["x"], "width": "4", "height": True}, "", (8, 6)),
        ({"width": 4, "height": 3}, "", (4, 3)),
        ({"width": 9, "height": 3}, "", (8, 6)),
    ],
)
def test_a_picture_is_told_in_words(about: dict[str, object], said: str, size: tuple[int, int]) -> None:
    """A cell may say what is to be seen, and that it is to be shown smaller; whatever else its metadata hold is left."""
    found = pictures.read(_encoded(png()), about)
    assert not isinstance(found, str)
    assert (found.said, (found.width, found.height)) == (said, size)


def test_a_notebook_of_very_many_outputs_is_a_small_page(catalogue: Catalogue) -> None:
    """Thousands of lines that are shown one by one, and thousands of pictures, make one page that a browser opens."""
    lines = [new_output("display_data", data={"text/plain": f'"{number}" & <more>' + "é" * 90}) for number in range(1_600)]
    some = [drawn(png(shade=number % 250)) for number in range(230)]
    cells = [new_markdown_cell("## Look"), new_code_cell("draw()", outputs=some), new_code_cell("look()", outputs=lines)]
    digest = keep_evidence(catalogue, cells)
    found = Archive(catalogue.settings.state / "evidence").get(digest)
    assert found is not None
    page = _page(catalogue, digest, found)
    assert len(page.encode()) < A_PAGE
    assert page.count("<img") == 200
    assert page.count("an image that is not shown") == 30
    assert "more characters stand in the evidence file" in page
    # On a runbook's page there are other things, too.
    step = found.step("Look", 1)
    assert sum(len(output.text.encode()) for cell in step for output in cell.outputs) < A_PAGE / 4


def _page(catalogue: Catalogue, digest: str, evidence: Evidence) -> str:
    catalogue.settings.state.mkdir(exist_ok=True)
    with open_journal(catalogue.settings.journal) as journal:
        facts = gather(catalogue, journal, "staging", NOW)
        return writing.evidence_page(digest, evidence, [], facts).decode()


@dataclass
class Shop:
    """A shop that is published again and again; its morning check draws three pictures, two of which are the same."""

    catalogue: Catalogue
    journal: Journal
    to: Path
    now: datetime = NOW

    def publish(self) -> Published:
        """The next publication, half a minute later."""
        self.now += timedelta(seconds=30)
        return publish(self.catalogue, self.journal, self.to, self.now)


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose latest run drew."""
    catalogue = built_project(tmp_path / "project", tmp_path_factory)
    with open_journal(catalogue.settings.journal) as journal:
        record(catalogue, journal, NOW, {"error-rate": 0.4}, cells=CELLS)
        yield Shop(catalogue, journal, tmp_path / "public")


def _images(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("evidence/images/*")}


@pytest.mark.slow
def test_pictures_lie_beside_the_pages(shop: Shop) -> None:
    """Each picture is one file named by its digest; pages refer to it by a relative address, with its size and what it shows."""
    site = shop.publish().folder
    images = _images(site)
    assert {name: path.read_bytes() for name, path in images.items()} == {
        f"{hashlib.sha256(content).hexdigest()}.png": content for content in (png(640, 480), LARGE)
    }
    evidence = next(site.glob("evidence/*.html"))
    for page, up in ((evidence, "images/"), (site / "systems/shop/runbooks/morning.html", "../../../evidence/images/")):
        text = page.read_text()
        assert len(text.encode()) < A_PAGE
        assert "data:" not in text
        shown = re.findall(r'<img class="pb-image" src="([^"]*)" alt="([^"]*)" width="(\d+)" height="(\d+)"', text)
        first, second = (up + hashlib.sha256(content).hexdigest() + ".png" for content in (png(640, 480), LARGE))
        assert shown == [
            (first, "What cell 1 drew below “Errors stay low”", "640", "480"),
            (second, "Errors &#34;by&#34; &lt;hour&gt;", "8", "6"),
            (first, "What cell 3 drew below “The newest backup is whole”", "320", "240"),
        ]
        assert all((page.parent / source).is_file() for source, *_ in shown)


@pytest.mark.slow
def test_pictures_are_written_once(shop: Shop) -> None:
    """A picture is the same file in the next publication, made anew when somebody altered it, and gone with its evidence."""
    first = _images(shop.publish().folder)
    again = _images(shop.publish().folder)
    assert all(again[name].samefile(path) for name, path in first.items())
    altered = again[min(again)]
    good = altered.read_bytes()
    altered.unlink()
    altered.write_bytes(b"something else")
    mended = _images(shop.publish().folder)
    assert mended[altered.name].read_bytes() == good
    # Another run draws one of them, too; then the first one's evidence goes.
    record(shop.catalogue, shop.journal, shop.now, {"error-rate": 0.5}, run_id="01NEXT", cells=CELLS[2:])
    assert _images(shop.publish().folder).keys() == first.keys()
    run = shop.journal.run("01RUN")
    assert run is not None
    assert run.evidence
    (shop.catalogue.settings.state / "evidence" / run.evidence[:2] / f"{run.evidence}.ipynb").unlink()
    left = _images(shop.publish().folder)
    assert left.keys() == {f"{hashlib.sha256(png(640, 480)).hexdigest()}.png"}
    other = shop.journal.run("01NEXT")
    assert other is not None
    assert other.evidence
    (shop.catalogue.settings.state / "evidence" / other.evidence[:2] / f"{other.evidence}.ipynb").unlink()
    assert not (shop.publish().folder / "evidence").exists()


def test_a_preview_has_them_too(shop: Shop) -> None:
    """Under ``mkdocs serve`` the pictures lie where the pages look for them."""
    to = shop.to / "preview"
    writing.write_evidence(gather(shop.catalogue, shop.journal, "staging", NOW), to)
    assert len(_images(to)) == 2
