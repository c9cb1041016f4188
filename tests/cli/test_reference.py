"""The reference pages say what the code says, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checks.catalogue import probe_kinds
from checks.cli import reference
from checks.site.declared import probe_classes
from checks.site.macros import macros
from checks.site.publish import Published
from tests.site.conftest import published as published

COMMITTED = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_a_page_is_what_the_code_says(name: str) -> None:
    """A committed page is what is rendered now; if not: python -m checks.cli.reference."""
    assert (COMMITTED / name).read_text(encoding="utf-8") == reference.pages()[name]


def test_every_command_has_help_and_an_example() -> None:
    """No command is without a sentence that says what it does, and an example."""
    sections = reference.cli().split("\n## ")[1:]
    assert len(sections) > 12
    for section in sections:
        name, _, rest = section.partition("\n")
        assert len(rest.strip().split("\n")[0]) > 20, f"{name} does not say what it does"
        assert "```bash" in rest, f"{name} has no example"


def test_every_argument_says_what_it_is() -> None:
    """No argument or option is without a word on it."""
    assert re.findall(r"^\| `[^|]+\|\s*\|$", reference.cli(), re.MULTILINE) == []


def test_every_macro_is_told(catalogue_macros: set[str]) -> None:
    """Each macro that a page may call is on the page of macros, and nothing else is."""
    assert set(re.findall(r"^## (\w+)$", reference.macros(), re.MULTILINE)) == catalogue_macros


@pytest.fixture
def catalogue_macros(tmp_path: Path) -> set[str]:
    from checks.catalogue import load
    from tests.site.project import small_project

    return set(macros(load(small_project(tmp_path))))


def test_every_kind_of_probe_is_told() -> None:
    """Each kind of probe has a section with each of its options."""
    page = reference.probes()
    for kind, declaration in probe_classes().items():
        section = page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        assert declaration.__doc__, kind
        for name, field in declaration.model_fields.items():
            assert f"| `{field.alias or name}` |" in section, f"{kind}: {name}"
    assert probe_kinds.HttpProbe in probe_classes().values()


@pytest.mark.slow
def test_every_file_of_a_publication_is_told(published: Published) -> None:
    """Each file that publishing writes of its own is in the table of files."""
    site = published.index.parent
    told = [re.escape(path.removeprefix("public/current/")) for path, *_ in reference.FILES if path.startswith("public/current/")]
    patterns = [re.sub(r"<[^>]+>", r"[^/]+", path) for path in told]
    ours = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    ours = [
        path
        for path in ours
        if not path.startswith(("assets/", "search/", "sitemap", "systems/"))
        and path not in ("index.html", "404.html", "objects.inv")
    ]
    assert [path for path in ours if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []
