from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, _files, installed, load, read_runbook
from checks.errors import CatalogueErrors
from tests.site.project import SYSTEM, small_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that has been read once, whose files were written long ago; what was read is kept."""
    made = small_project(tmp_path / "project")
    (made / ".proofbook").mkdir()
    (made / "docs/incidents").mkdir()
    (made / "docs/incidents/fire.md").write_text(
        "---\ntitle: Fire\nsystem: shop\nseverity: P1\nopened: 2024-11-02T10:42:00Z\nresolved: 2024-11-02T12:05:00+01:00\n---\n"
    )
    _let_settle(made)
    load(made)
    return made


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are parsed from here on."""
    seen: list[str] = []
    parse = _files._text

    def noting(path: Path, shown: Path) -> str:
        seen.append(shown.name)
        return parse(path, shown)

    monkeypatch.setattr(_files, "_text", noting)
    return seen


def _let_settle(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (1_600_000_000, 1_600_000_000))


def _rewritten(path: Path, text: str) -> None:
    """Another text, as an editor leaves it: another file, but of the very time."""
    path.unlink()
    path.write_text(text)
    os.utime(path, (1_600_000_000, 1_600_000_000))


def _anew(root: Path) -> Catalogue:
    (root / ".proofbook/catalogue.json").unlink()
    return load(root)


def test_what_was_read_is_not_parsed_again(root: Path, parsed: list[str]) -> None:
    """A catalogue that has not changed is the same, to the last word, without one of its files being parsed."""
    again = load(root)
    assert parsed == []
    assert repr(again) == repr(_anew(root))
    assert parsed != []


def test_only_what_has_changed_is_parsed(root: Path, parsed: list[str]) -> None:
    """After one file was edited that one is parsed, and the catalogue says what it says now."""
    path = root / "docs/systems/shop/system.yml"
    _rewritten(path, SYSTEM.replace("> 500 ms", "> 501 ms"))
    critical = load(root).metric("shop/latency").critical
    assert critical is not None
    assert critical.text == "> 501 ms"
    assert parsed == ["system.yml"]


def test_a_text_below_its_front_matter_is_not_parsed(root: Path, parsed: list[str]) -> None:
    """Of a runbook whose text was edited nothing is parsed, and it is what reading it all would give; its front matter is."""
    path = next((root / "notebooks").glob("*/*.md"))
    slug, text = f"{path.parent.name}/{path.stem}", path.read_text()
    for number in range(2):
        _rewritten(path, f'{text}\n```python\ncheck("number-{number}")\n```\n')
        edited = load(root).runbook(slug)
        assert parsed == []
        assert f"number-{number}" in edited.checks
        assert edited == read_runbook(path, root, load(root).systems)
        parsed.clear()
    _rewritten(path, text.replace("title: ", "title: Another ", 1))
    assert load(root).runbook(slug).title.startswith("Another ")
    assert parsed == [path.name]
    _rewritten(path, "\ufeff" + text)
    with pytest.raises(CatalogueErrors, match="byte order mark"):
        load(root)


def test_an_edit_within_one_tick_is_seen(root: Path) -> None:
    """A text of the same length, written within a tick of the clock after the file was read, is read."""
    path = root / "notebooks/shop/morning.md"
    text = path.read_text()
    for title in ("Evening check", "Morning check"):
        path.write_text(text.replace("title: Morning check", f"title: {title}"))
        assert load(root).runbook("shop/morning").title == title


def test_a_fault_is_told_each_time_with_its_place(root: Path) -> None:
    """A file that is not valid is refused each time, in the very words that say where, and once mended it is read."""
    path = root / "docs/systems/shop/system.yml"
    told = []
    _rewritten(path, SYSTEM.replace("unit: ms", "unit: ms\n    unit: s"))
    for _ in range(2):
        with pytest.raises(CatalogueErrors) as refused:
            load(root)
        told.append(str(refused.value))
    assert told[0] == told[1]
    assert "docs/systems/shop/system.yml:24:5" in told[0]
    assert "the key `unit` stands twice" in told[0]
    _rewritten(path, SYSTEM)
    assert load(root).metric("shop/latency").unit == "ms"


def test_a_fault_between_files_is_told_though_both_are_kept(root: Path) -> None:
    """What names a runbook that is gone is refused, though its own file has not changed."""
    (root / "notebooks/shop/morning.md").unlink()
    with pytest.raises(CatalogueErrors, match=r"system\.yml:19:5: .*names a runbook that does not exist"):
        load(root)


def test_an_environment_that_is_gone_is_missed(root: Path) -> None:
    """A runbook is held against the environments that its system has now."""
    path = root / "notebooks/shop/morning.md"
    _rewritten(path, path.read_text().replace("kind: check", "kind: check\nenvironments: [staging]"))
    assert load(root).runbook("shop/morning").environments == ("staging",)
    _rewritten(root / "docs/systems/shop/system.yml", SYSTEM.replace("staging:", "production:"))
    with pytest.raises(CatalogueErrors, match="shop has no environment `staging`"):
        load(root)


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[]", "null", '{"format": 1}', "\x00", '{"format": 1, "key": "", "at": 0, "read": {}}'],
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(broken: str, root: Path) -> None:
    """Whatever has become of what was kept, the catalogue is read from its files."""
    whole = repr(load(root))
    (root / ".proofbook/catalogue.json").write_text(broken)
    assert repr(load(root)) == whole


def test_an_entry_that_is_no_value_is_read_anew(root: Path) -> None:
    """An entry that is not one of our values makes that file be read again, and no other."""
    path = root / ".proofbook/catalogue.json"
    whole = repr(load(root))
    for nonsense in (["os.system", "true"], ["enum", "Status", "excellent"], ["Metric", 1], [], ["span", "x"], [["x"]]):
        kept = json.loads(path.read_text())
        name = next(name for name in kept["read"] if name.endswith("system.yml"))
        kept["read"][name][3] = nonsense
        path.write_text(json.dumps(kept))
        assert repr(load(root)) == whole


def test_nothing_is_kept_where_nothing_may_be_written(root: Path) -> None:
    """In a project that has no folder of its own yet a catalogue is read, and no folder is made for it."""
    (root / ".proofbook/catalogue.json").unlink()
    (root / ".proofbook").rmdir()
    load(root)
    assert not (root / ".proofbook").exists()


def test_versions_are_those_that_packages_say() -> None:
    """The version found by a package's folder is the one that it tells of itself."""
    names = ("mkdocs", "mkdocs-material", "ruamel.yaml", "Jinja2", "pydantic", "nobody-wrote-this")
    assert installed.versions(names) == {**{name: version(name) for name in names[:-1]}, "nobody-wrote-this": ""}
