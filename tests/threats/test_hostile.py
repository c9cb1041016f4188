"""Two hundred texts that try to act, wherever a text can stand: on pages, in exports and on terminals they are letters."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from selectolax.lexbor import LexborHTMLParser

from checks.catalogue import Catalogue
from checks.site import prose, words
from tests.threats.hostile import corpus, publish_shop, texts
from tests.threats.shop import open_shop

pytestmark = pytest.mark.slow

PLAIN = [f"plain words {number}" for number in range(16)]
OF_AUTHORS = ("systems/shop/runbooks/", "systems/shop/checklist.html")
"""Pages whose text is Markdown that an author wrote: it may have structure, and nothing that acts."""
MARK = re.compile(r"mark\d+z")
ACTING = re.compile(
    "iframe|frame|object|embed|applet|base|form|style|link|meta|math|foreignobject|animate|set|use|script|template|noscript|"
    "plaintext|marquee|dialog|portal"
)
ADDRESSES = frozenset(("href", "src", "action", "data", "poster", "xlink:href", "manifest", "cite"))
HANDLERS = re.compile("on.*|style|srcdoc|ping|srcset|formaction|background")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
INERT_ADDRESS = re.compile(r"(https?|mailto|tel):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Site:
    """A published shop and its project."""

    root: Path
    folder: Path
    catalogue: Catalogue

    def files(self, suffix: str) -> list[Path]:
        """Its files of a kind."""
        return sorted(path for path in self.folder.rglob(f"*{suffix}") if "assets" not in path.parts)

    def shape(self) -> dict[str, set[str]]:
        """What pages of each type are made of: elements with their attributes, and kinds of addresses."""
        found: dict[str, set[str]] = {}
        for path in self.files(".html"):
            found.setdefault(kind_of(path.relative_to(self.folder)), set()).update(shape(path.read_text("utf-8")))
        return found


def kind_of(path: Path) -> str:
    """The type of a page: those of one folder are alike."""
    return re.sub(r"[\w-]+-?\d+\.html|[0-9a-f]{64}\.html|(?<=runbooks/)[\w-]+(?=/)", "*", path.as_posix())


def shape(page: str) -> Iterator[str]:
    """The elements of a page, as a browser sees them, each with every one of its attributes; and the schemes of addresses."""
    for node in LexborHTMLParser(page).css("*"):
        for attribute, value in node.attributes.items():
            yield f"{node.tag} {attribute}"
            if attribute in ADDRESSES:
                yield f"{node.tag} {attribute}={re.match(r'[^:/?#]*:|//|', value or '').group()}"  # type: ignore[union-attr]
        yield str(node.tag)


def acts(content: str) -> list[str]:
    """What in a page's own text would act."""
    found = []
    for node in LexborHTMLParser(content).css("body *"):
        tag = str(node.tag).lower()
        if ACTING.fullmatch(tag):
            found.append(tag)
        for name, value in node.attributes.items():
            if HANDLERS.fullmatch(name):
                found.append(f"{tag} {name}")
            address = re.sub(r"^[\x00-\x20]+|[\t\r\n]", "", value or "")
            if name in ADDRESSES and SCHEME.match(address) and not INERT_ADDRESS.match(address):
                found.append(f"{tag} {name}={value}")
    return found


def published(root: Path, said: Sequence[str]) -> Site:
    catalogue, done = publish_shop(root, said)
    return Site(root, done.index.parent.resolve(), catalogue)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A shop in which everything says every text."""
    return published(tmp_path_factory.mktemp("hostile"), texts())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same shop, where everything says plain words."""
    return published(tmp_path_factory.mktemp("plain"), PLAIN)


def test_44_the_corpus_is_large() -> None:
    """There are at least 150 different texts, and each can be found on a page by a word of its own."""
    said = texts()
    assert len(set(said)) == len(said) >= 150
    assert [text for text in said if not re.search(r"mark\d+z", text) and len(text) > 1] == []


KINDS = """
    * calendar.html coverage.html evidence/* incidents/* incidents/all/* incidents/index.html index.html reports/weekly.html
    systems/shop/all/* systems/shop/checklist.html systems/shop/coverage.html systems/shop/faq.html systems/shop/index.html
    systems/shop/metrics/* systems/shop/report.html systems/shop/reports/* systems/shop/runbooks/* systems/shop/runbooks/*/*
"""


def test_44_every_type_of_page_is_there(hostile: Site) -> None:
    """What is said of pages is said of each type that a site can have: of long tables, archives and histories, too."""
    assert sorted(hostile.shape()) == KINDS.split()
    assert list(hostile.folder.glob("evidence/images/*.png"))


def test_44_pages_are_made_of_the_same_elements(hostile: Site, plain: Site) -> None:
    """No page has an element, an attribute or a kind of address that the same site has not where plain words are said."""
    usual = set().union(*plain.shape().values())
    for kind, found in hostile.shape().items():
        if not kind.startswith(OF_AUTHORS):
            assert sorted(found - usual) == [], kind


def test_44_what_authors_paste_does_not_act(hostile: Site) -> None:
    """On no page stands a script, a frame, a handler, a style or an address that is a program; words remain."""
    for path in hostile.files(".html"):
        page = LexborHTMLParser(path.read_text("utf-8"))
        for content in page.css("article, main.pb-plain, .md-sidebar, .md-footer, .md-tabs"):
            assert [one for one in acts(content.html or "") if one != "use"] == [], path
        for script in page.css("script"):
            assert not MARK.search(script.text()), path
        for one in page.css("[href], [src]"):
            address = one.attributes.get("href") or one.attributes.get("src") or ""
            if not path.relative_to(hostile.folder).as_posix().startswith(OF_AUTHORS):
                assert "evil.example" not in address, path


def test_44_every_text_can_be_read(hostile: Site) -> None:
    """Nothing is swallowed: each text is somewhere among the letters of the system's page, and none was taken for a template."""
    said = " ".join(LexborHTMLParser(path.read_text("utf-8")).text(separator=" ") for path in hostile.files(".html"))
    shown = set(MARK.findall(said))
    assert set(MARK.findall(" ".join(texts(but=["of no alphabet"])))) - shown == set()
    assert "{{ 7*7 }}" in said
    assert not re.search(r"mark\d+z49", said)
    for path in hostile.files(".html"):
        assert not re.search("[\x00\x07\x08\x1b\x9b\u202a-\u202e\u2066-\u2069]", path.read_text("utf-8")), path


def test_44_the_index_of_the_search_holds_letters(hostile: Site) -> None:
    """What the search shows as markup is escaped in its index; only marks of its own are elements."""
    entries = json.loads((hostile.folder / "search" / "search_index.json").read_text("utf-8"))["docs"]
    for entry in entries:
        for part in (entry["title"], entry["text"], *entry.get("tags", ())):
            assert acts(part) == [], entry["location"]


def tree(path: Path) -> set[tuple[str, ...]]:
    """The elements of a document of XML, each with its attributes' names."""
    return {(one.tag, *sorted(one.attrib)) for one in ET.fromstring(path.read_bytes()).iter()}  # noqa: S314 - our own file


def test_44_documents_of_xml_keep_their_form(hostile: Site, plain: Site) -> None:
    """Feed, JUnit, sitemap and badges can be parsed, and have the elements that they always have."""
    of_feed = {path.name: tree(path) for path in [*plain.files(".xml"), *plain.files(".svg")]}
    found = [*hostile.files(".xml"), *hostile.files(".svg")]
    assert {path.name for path in found} == of_feed.keys() == {"feed.xml", "junit.xml", "shop.svg", "sitemap.xml"}
    for path in found:
        assert tree(path) - of_feed[path.name] == set(), path.name


def test_50_the_calendar_keeps_its_form(hostile: Site, plain: Site) -> None:
    """No text ends an event, begins another one, or adds a property to it."""
    from icalendar import Calendar

    def form(site: Site) -> set[tuple[str, ...]]:
        content = (site.folder / "calendar.ics").read_bytes()
        assert all(len(line) <= 75 for line in content.split(b"\r\n"))
        return {(str(one.name), *sorted(one)) for one in Calendar.from_ical(content).walk()}

    assert form(hostile) == form(plain)


def test_44_figures_for_programs_keep_their_form(hostile: Site, plain: Site) -> None:
    """JSON can be parsed and says nothing else; OpenMetrics is read by Prometheus' own reader and by promtool."""
    from prometheus_client.openmetrics import parser

    read: Callable[[str], Iterator[Any]] = parser.text_string_to_metric_families

    def families(site: Site) -> Mapping[str, set[tuple[str, ...]]]:
        text = (site.folder / "metrics.txt").read_text("utf-8")
        return {one.name: {tuple(sorted(s.labels)) for s in one.samples} for one in read(text)}

    assert families(hostile) == families(plain)
    for path in hostile.files(".json"):
        json.loads(path.read_text("utf-8"))
    document = json.loads((hostile.folder / "status.json").read_text("utf-8"))
    assert document.keys() == json.loads((plain.folder / "status.json").read_text("utf-8")).keys()
    assert document["status"] == "fail"
    if promtool := shutil.which("promtool"):
        # It reads the older text format, where a file has no end.
        text = (hostile.folder / "metrics.txt").read_text("utf-8").removesuffix("# EOF\n")
        checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert "error" not in checked.stderr.lower(), checked.stderr


RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@pytest.mark.parametrize(
    "command",
    ["status", "status --format nagios", "status --format junit", "incident list", "checklist show", "schedule next", "lint"],
)
def test_44_terminals_get_letters(hostile: Site, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands print no escape sequence, no control and no mark of direction."""
    from typer.testing import CliRunner

    from checks import catalogue
    from checks.cli._main import app

    monkeypatch.setattr(catalogue, "load", lambda _root: hostile.catalogue)
    ended = CliRunner().invoke(app, [*command.split(), "--root", str(hostile.root)])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    assert ended.output
    assert not RAW.search(ended.output), RAW.search(ended.output)


def test_44_what_was_found_in_a_file_is_told_in_letters(tmp_path: Path) -> None:
    """An error that shows what stood in a file shows letters, and no bytes that a terminal obeys."""
    shop = open_shop(tmp_path / "site")
    shop.project.describe('system: shop\ntitle: "\\e[2Jx"\nsummary: x\n"\\e]0;x\\a\\u202E": 1\n')
    ended = shop.call("lint")
    assert ended.code == 65
    assert "[U+202E]" in ended.err
    assert not RAW.search(ended.said)


def test_44_a_text_of_no_alphabet_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text are refused as a wrong call, and not by a traceback."""
    ended = open_shop(tmp_path / "site").call("incident", "open", "\udcff\udc80", "--system", "shop", "--severity", "P1")
    assert ended.code == 64
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("kind", [kind for kind in corpus() if kind != "of no alphabet"])
def test_44_prose_is_cleaned(kind: str) -> None:
    """Each text, as Markdown or as HTML of an author, becomes nothing that acts."""
    from markdown import Markdown  # type: ignore[import-untyped]  # Markdown has no types here

    extensions = ["attr_list", "md_in_html", "tables", "footnotes", "abbr", "admonition", "def_list", "pymdownx.superfences"]
    for text in corpus()[kind]:
        rendered = Markdown(extensions=extensions).convert(text)
        for html in (rendered, text, f"<p title='{text}'>{text}</p>", f"<a href='{text}'>x</a>"):
            assert acts(prose.inert(html)) == [], text[:200]
            assert "evil" not in "".join(re.findall(r"<(?:script|style|link|base|form)[^>]*>", prose.inert(html)))


@pytest.mark.parametrize("kind", list(corpus()))
def test_44_letters_stay_letters(kind: str) -> None:
    """What is escaped for a page is one line without an element or a character that acts unseen."""
    for text in corpus()[kind]:
        shown = words.letters(text)
        parsed = LexborHTMLParser(f"<p title='{shown}'>{shown}</p>")
        assert [str(node.tag) for node in parsed.css("body *")] == ["p"]
        assert not re.search(r"[<>\n\r\x00-\x1f\u202a-\u202e]", shown)
