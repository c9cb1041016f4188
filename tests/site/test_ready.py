"""Pages that are ours but for their headings: Markdown reads those once, and the search what it may find."""

from __future__ import annotations

from pathlib import Path

import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from checks.site.ready import Ready

TEXT = """\
<section>

<p>{0} found</p>
</section>

## Over time {{ data-search-exclude }}

<div data-live="plots:shop/{0}"></div>
<p>{0} left out</p>

### Since when

<p>{0} found, too</p>
"""


def made(config: MkDocsConfig, name: str, text: str) -> Page:
    """A page that is generated, with its text read."""
    page = Page(None, File.generated(config, f"systems/shop/metrics/{name}.md", content=text), config)
    page.markdown, page.meta = text, {}
    return page


@pytest.fixture
def config(tmp_path: Path) -> MkDocsConfig:
    """Of a site whose headings may have attributes."""
    config = MkDocsConfig(str(tmp_path / "mkdocs.yml"))
    extensions = ["attr_list", "md_in_html", "toc"]
    config.load_dict({"site_name": "Shop", "docs_dir": str(tmp_path), "markdown_extensions": extensions})
    config.validate()
    config.plugins._current_plugin = "proofbook"
    return config


def test_markdown_reads_the_same_headings_once(config: MkDocsConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages with the same headings have each its own text, as Markdown itself would have made them, which is asked once."""
    read: list[str] = []
    render = Page.render

    def counted(page: Page, config: MkDocsConfig, files: Files) -> None:
        read.append(page.markdown or "")
        render(page, config, files)

    monkeypatch.setattr(Page, "render", counted)
    ready = Ready()
    for name in ("errors", "latency"):
        whole, page = (made(config, name, TEXT.format(name)) for _ in range(2))
        ready.add(page.file.src_uri)
        assert ready.has(page)
        ready.markdown(page)
        page.render(config, Files([page.file]))
        ready.finish(page)
        assert page.markdown == TEXT.format(name)
        ours = len(read)
        whole.render(config, Files([whole.file]))
        del read[ours:]
        assert lines(page) == lines(whole)
        assert [item.id for item in page.toc] == [item.id for item in whole.toc] == ["over-time"]
        assert page.present_anchor_ids == whole.present_anchor_ids == {"over-time", "since-when"}
    assert len(read) == 1


def test_the_search_sees_what_it_may_find(config: MkDocsConfig) -> None:
    """What stands below a heading that the search leaves out is put in after it has looked at the page; all else before."""
    ready, page = Ready(), made(config, "errors", TEXT.format("errors"))
    ready.markdown(page)
    page.render(config, Files([page.file]))
    assert "errors found" in (page.content or "")
    assert "errors left out" not in (page.content or "")
    assert "errors found, too" in (page.content or "")
    ready.finish(page)
    assert "errors left out" in (page.content or "")
    assert "data-ready" not in (page.content or "")


def test_what_would_act_is_taken_out_of_what_is_put_in_late(config: MkDocsConfig) -> None:
    """What the search does not see is cleaned as all else is."""
    text = '## Over time { data-search-exclude }\n\n<p onclick="steal()">Late</p>\n'
    ready, page = Ready(), made(config, "errors", text)
    ready.markdown(page)
    page.render(config, Files([page.file]))
    ready.finish(page)
    assert "<p>Late</p>" in (page.content or "")


def lines(page: Page) -> list[str]:
    """The lines of a page's content that are not empty."""
    return [line for line in (page.content or "").splitlines() if line.strip()]
