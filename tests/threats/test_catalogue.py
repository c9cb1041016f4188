"""What people write goes wrong: every fault is told with its place, and what is published stays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.project import SYSTEM
from tests.threats.shop import FINE, Ended, Shop, open_shop

NAMED = SYSTEM.replace("system: shop", "system: NAME")
LIMIT = '    critical: "> 10 %"\n'


def _bomb() -> str:
    levels = "".join(f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    return f"system: NAME\nx:\n  l0: &l0 [a]\n{levels}"


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "quote": (NAMED.replace('unit: "%"', 'unit: "%'), "not YAML"),
    "twice": (NAMED + "title: Again\n", "stands twice"),
    "tag": (NAMED.replace("title: Corner shop", "title: !!python/object/apply:os.system ['touch owned']"), "tag"),
    "bomb": (_bomb(), "anchors and aliases"),
    "deep": (NAMED.replace("title: Corner shop", "title: " + "[" * 100 + "]" * 100), "nested deeper"),
    "mojibake": (NAMED.encode().replace(b"Corner", b"Corn\xe9r"), "UTF-8"),
    "nul": (NAMED.encode().replace(b"Corner", b"Corn\0r"), ""),
    "list": ("- a\n- b\n", "mapping"),
    "empty": ("", "mapping"),
    "unit": (NAMED.replace(LIMIT, '    critical: "> 10 eggs"\n'), "eggs"),
    "probeless": (NAMED.replace("    probe: {kind: notebook}\n", ""), "probe"),
    "backtracks": (NAMED.replace("{kind: notebook}", '{kind: log, path: "{folder}/a", window: 1h, match: "(a+"}'), "match"),
    "inverted": (NAMED.replace(LIMIT, '    critical: "between 10 % and 5 %"\n'), ""),
}


@dataclass(frozen=True, slots=True)
class Linted:
    """A published shop after everything was broken, and what lint said of it."""

    shop: Shop
    lint: Ended
    before: str

    def said_of(self, name: str) -> str:
        """What was said of one system's file."""
        found = re.findall(rf"^docs/systems/{name}/system\.yml:.*\n(?:  .*\n)*", self.lint.said, re.MULTILINE)
        assert found, self.lint.said
        return "".join(found)


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> Linted:
    """A shop that was published whole, then broken in every way at once, and linted once."""
    shop = open_shop(tmp_path_factory.mktemp("catalogue") / "site")
    shop.project.write(FINE)
    assert shop.call("publish", "--no-run").code == 0
    before = shop.page("index.html")
    for name, (text, _) in BROKEN.items():
        folder = shop.root / "docs" / "systems" / name
        folder.mkdir()
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "system.yml").write_bytes(data.replace(b"NAME", name.encode()))
    shop.project.write(FINE, "never", 'schedule: {cron: "0 0 30 2 *"}\n')
    return Linted(shop, shop.call("lint"), before)


@pytest.mark.parametrize("name", BROKEN)
def test_26_and_27_each_fault_is_told_with_its_place(linted: Linted, name: str) -> None:
    """One lint names every broken file with its line, what is wrong, and what was expected or how to mend it."""
    said = linted.said_of(name)
    assert re.match(rf"docs/systems/{name}/system\.yml:\d+", said)
    assert BROKEN[name][1] in said
    assert "expected:" in said or "remedy:" in said


def test_26_nothing_in_it_was_obeyed(linted: Linted) -> None:
    """Lint ends with 65, without Python's own words, and no tag was executed."""
    assert linted.lint.code == 65
    assert "Traceback" not in linted.lint.said
    assert not list(linted.shop.root.rglob("owned"))


def test_27_a_schedule_that_never_fires_is_refused(linted: Linted) -> None:
    """The thirtieth of February is told as such."""
    assert "notebooks/shop/never.md:" in linted.lint.said
    assert "0 0 30 2 *" in linted.lint.said


@pytest.mark.parametrize("command", [("publish", "--no-run"), ("run", "--all"), ("check", "shop")])
def test_26_a_broken_catalogue_stops_everything_but_reading(linted: Linted, command: tuple[str, ...]) -> None:
    """Nothing is run, measured or built from a catalogue with a fault: exit 65, and readers keep the site that they have."""
    ended = linted.shop.call(*command)
    assert ended.code == 65
    assert linted.shop.page("index.html") == linted.before
    assert [path.name for path in (linted.shop.root / "public/publications").iterdir()] == ["0001"]


def test_28_a_pattern_that_would_backtrack_is_quick(tmp_path: Path) -> None:
    """A pattern at which other engines would hang is searched for in linear time."""
    shop = open_shop(tmp_path / "site")
    (shop.root / "shop" / "a.log").write_text(f'{{"ts": "{"a" * 60}!"}}\n' + "a" * 50_000 + "!\n")
    argv = f"[printf, '{'a' * 60}!']"
    probe = '{kind: log, path: "{folder}/a.log", window: 1h, match: "^(a+)+$"}'
    shop.project.describe(
        SYSTEM + f"  hangs:\n    title: Hangs\n    probe: {probe}\n    critical: any\n"
        f"  number:\n    title: Number\n    probe: {{kind: command, argv: {argv}, take: number}}\n    critical: any\n"
    )
    with shop.start("check", "shop/hangs", "shop/number") as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 3), err
    assert "hangs" in out
