"""Checks that cannot fail are refused, and what nobody has looked at is unknown; by the built program."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.run.project import SYSTEM
from tests.threats.shop import FINE, Ended, Shop, open_shop

SKIPPED = {"dependencies": [{"name": "shop", "skip_reason": "Dependency not found on PyPI"}]}
NOTHING_SEEN = {
    "audited": ('{kind: packages, measure: vulnerabilities, requirements: "{folder}/pins.txt"}', "any", "could not be audited"),
    "scanned": ('{kind: packages, measure: findings, project: "{folder}/empty"}', "any", "no Python code"),
    "failing": ('{kind: log, path: "{folder}/quiet.log", window: 1h, measure: ratio}', '"> 1 %"', "no line to take a share of"),
    "backup": ('{kind: backup, path: "{folder}/empty/*.gz"}', '"older than 26 h"', "no backup"),
    "few": ('{kind: log, path: "{folder}/quiet.log", window: 1h}', "any", "needs 20 samples"),
}


def _metrics(shop: Shop, metrics: dict[str, str]) -> None:
    """Declare metrics beside those that the shop has."""
    shop.project.describe(SYSTEM + "".join(f"  {name}:\n    title: {name}\n{body}" for name, body in metrics.items()))


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Why each metric is what it is, where the tools saw nothing at all."""
    shop = open_shop(tmp_path_factory.mktemp("measuring") / "site")
    folder = Path(shop.project.variables["SHOP_FOLDER"])
    (folder / "empty").mkdir()
    (folder / "pins.txt").write_text("shop==1.0\n")
    (folder / "quiet.log").write_text('{"ts": "2020-01-01T00:00:00Z", "level": "INFO"}\n')
    programs = shop.root.parent / "bin"
    programs.mkdir()
    (programs / "pip-audit").write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(SKIPPED)}\nEOF\n")
    (programs / "pip-audit").chmod(0o755)
    shop.more["PATH"] = f"{programs}:/usr/bin:/bin"
    bodies = {}
    for name, (probe, limit, _) in NOTHING_SEEN.items():
        unit = '    unit: "%"\n' if "%" in limit else "    unit: h\n" if "older" in limit else ""
        needs = "    needs: 20\n" if name == "few" else ""
        bodies[name] = f"{unit}    probe: {probe}\n    critical: {limit}\n{needs}"
    _metrics(shop, bodies)
    ended = shop.call("check", *(f"shop/{name}" for name in NOTHING_SEEN), "--format", "json")
    assert ended.code == 3, ended.said
    answer = json.loads(ended.out)
    assert {result["status"] for result in answer["results"]} == {"unknown"}
    return {result["metric"]: result["reason"] for result in answer["results"]}


@pytest.mark.parametrize("name", NOTHING_SEEN)
def test_11_what_nobody_has_looked_at_is_unknown(looked: dict[str, str], name: str) -> None:
    """A scan of nothing, a package that was skipped and a share of no lines find no fault, and are not ok."""
    assert NOTHING_SEEN[name][2] in looked[name]


CANNOT_FAIL = {
    "above-all": ('{kind: host, measure: disk, path: "{folder}"}', "%", '"> 100 %"', "no value can break"),
    "below-none": ('{kind: file, path: "{folder}/*", measure: count}', "files", '"< 0"', "no value can break"),
    "between-whole": ('{kind: file, path: "{folder}/*", measure: count}', "files", '"between 1.2 and 1.8"', "no value can break"),
    "long-ago": ("{kind: command, argv: [date]}", "", '"> 255"', "no value can break"),
    "yes-or-no": ('{kind: tls, address: "{folder}:443", measure: chain}', "", '"> 1"', "no value can break"),
    "compared": ('{kind: http, url: "{folder}", select: "length(parts) == `3`"}', "", '"> 1"', "no value can break"),
    "typed-in": ('{kind: sql, database: "{folder}/a.db", query: SELECT 1}', "", '"< 1"', "selects nothing but what is typed in"),
    "vector": ('{kind: prometheus, url: "{folder}", query: vector(1)}', "", '"< 1"', "names no series"),
    "literal": ('{kind: http, url: "{folder}", select: "`1`"}', "", '"< 1"', "looks at nothing in the answer"),
    "found": ('{kind: http, url: "{folder}", measure: text, match: "a*"}', "", '"< 1"', "is found in every text"),
    "printed": ('{kind: command, argv: [echo, "5"], take: number}', "", '"> 5"', "prints what is typed in"),
    "always-true": ('{kind: command, argv: ["true"]}', "", '"!= 0"', "always ends with 0"),
    "pattern": ("{kind: notebook}", "text", "'not matches /v?/'", "the pattern is found in every text"),
    "baseline": (
        '{kind: file, path: "{folder}/*", measure: count}',
        "files",
        '"> 120 % of baseline"\n    every: 1h\n    baseline: {statistic: median, window: 7d, samples: 9, aligned: hour-of-week}',
        "needs 9 samples of the same hour of the week",
    ),
}
REFUSED = {
    "hole": ("{kind: notebook}", "%", '"> 5 %"\n    green: "< 1 %"\n    yellow: "2-5 %"\n    red: "> 5 %"', "twice"),
    "needs": ('{kind: host, measure: disk, path: "{folder}"}', "%", '"> 90 %"\n    needs: 20', "does not count how many samples"),
    "repeat": (
        '{kind: http, url: "{folder}", measure: availability, repeat: 5}',
        "%",
        '"< 99 %"\n    needs: 20',
        "more than the 5 samples",
    ),
    "gauge": ("{kind: notebook}", "", '"> 5 in 1h"\n    every: 1m', "counts what happens"),
    "unwatched": ("{kind: notebook}", "%", '"> 5 % for 15m"', "nothing says how often"),
}
BANDS = {
    "gap": (
        '    green: "< 1 %"\n    yellow: "2-5 %"\n    red: "> 5 %"\n',
        "the bands leave a hole: nothing is said of values from 1 % to below 2 %",
    ),
    "overlap": ('    green: "< 3 %"\n    yellow: "2-5 %"\n    red: "> 5 %"\n', "overlap"),
}


def _body(probe: str, unit: str, limit: str) -> str:
    return f'    unit: "{unit}"\n    probe: {probe}\n    critical: {limit}\n'


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What lint says of a metric of each shape that cannot fail."""
    shop = open_shop(tmp_path_factory.mktemp("lint") / "site")
    shop.project.write(FINE)
    _metrics(shop, {name: _body(*shape[:3]) for name, shape in CANNOT_FAIL.items()})
    return shop.call("lint")


@pytest.mark.parametrize("name", CANNOT_FAIL)
def test_27_a_check_that_can_never_fail_is_refused(linted: Ended, name: str) -> None:
    """Each shape of it is an error with file, line and column, and lint ends with 65."""
    assert linted.code == 65
    found = re.search(rf"docs/systems/shop/system\.yml:\d+:\d+: {name}: (.*)", linted.err)
    assert found, linted.err
    assert CANNOT_FAIL[name][3] in found[1]


@pytest.mark.parametrize("name", [*REFUSED, *BANDS])
def test_27_what_contradicts_itself_is_not_loaded(tmp_path: Path, name: str) -> None:
    """Bands with a hole or an overlap, and samples or windows that there can never be, are refused where they stand."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(FINE)
    if name in BANDS:
        said = BANDS[name][1]
        _metrics(shop, {name: f'    unit: "%"\n    probe: {{kind: notebook}}\n{BANDS[name][0]}'})
    else:
        said = REFUSED[name][3]
        _metrics(shop, {name: _body(*REFUSED[name][:3])})
    ended = shop.call("check", "shop")
    assert ended.code == 65
    assert re.search(r"docs/systems/shop/system\.yml:\d+:\d+: ", ended.err)
    assert said in ended.err


def test_28_a_limit_whose_pattern_would_backtrack_is_quick(tmp_path: Path) -> None:
    """A text at which other engines hang for ages is judged at once."""
    shop = open_shop(tmp_path / "site")
    slug = shop.project.write(
        f'```python\nfrom checks import check\ncheck("release", "{"a" * 50}!")\ncheck("error-rate", 0.1)\n```\n'
    )
    body = "    unit: text\n    probe: {kind: notebook}\n    critical: 'not matches /^(a+)+$/'\n"
    _metrics(shop, {"release": body})
    started = time.monotonic()
    ended = shop.call("run", slug)
    assert ended.code == 2, ended.said
    assert time.monotonic() - started < 40
