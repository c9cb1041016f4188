"""The packages probe with the real pip, pip-audit and bandit; advisories and the index are served on loopback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from checks.errors import DataError
from checks.model import Observation
from checks.probes._licences import permits
from tests.probes.conftest import measured, reason_of, settings, value_of
from tests.probes.programs import StandIn, stand_ins

FLAWED = """\
import subprocess
subprocess.call("ls " + input(), shell=True)
value = eval("1")
assert value
"""


def probe(measure: str, **options: Any) -> dict[str, Any]:
    """A declared packages probe."""
    return {"kind": "packages", "measure": measure, **{name: value if isinstance(value, list) else str(value)
                                                       for name, value in options.items()}}  # fmt: skip


def installed(environment: Path, name: str, version: str, *metadata: str) -> Path:
    """A virtual environment in which this package is installed too."""
    folder = environment / "lib" / "python3.11" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    return environment


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment with two packages."""
    installed(tmp_path / "venv", "alpha", "1.0", "License-Expression: MIT OR GPL-3.0-only")
    return installed(tmp_path / "venv", "beta", "2.0", "Classifier: License :: OSI Approved :: BSD License")


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """Requirements, one of which is known to be bad."""
    path = tmp_path / "requirements.txt"
    path.write_text("jinja2==2.4.1\nmarkupsafe==2.1.0\n")
    return path


@pytest.fixture
def osv(httpserver: HTTPServer) -> str:
    """An advisory service that knows two flaws of jinja2 2.4.1; gives its address."""

    def answer(request: Request) -> Response:
        asked = json.loads(request.data)
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10"}]}]
        affected = [{"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": ranges, "versions": ["2.4.1"]}]
        flaws = [{"id": name, "summary": "Bad", "details": "Bad", "affected": affected} for name in ("PYSEC-1", "PYSEC-2")]
        known = (asked["package"]["name"], asked["version"]) == ("jinja2", "2.4.1")
        return Response(json.dumps({"vulns": flaws} if known else {}))

    httpserver.expect_request("/v1/query", method="POST").respond_with_handler(answer)
    return httpserver.url_for("/v1/query")


def audited(osv: str, **options: Any) -> Observation:
    """What the audit finds with these advisories."""
    seen = measured(probe("vulnerabilities", advisories="{osv}", **options), settled=settings({"osv": osv}))
    assert isinstance(seen, Observation), seen
    return seen


def unaudited(osv: str, **options: Any) -> str:
    """Why the audit gives nothing."""
    return reason_of(probe("vulnerabilities", advisories="{osv}", **options), settled=settings({"osv": osv}))


def test_a_known_bad_pin_is_found(osv: str, pinned: Path) -> None:
    """Each advisory of a pinned version counts, and is named."""
    seen = audited(osv, requirements=pinned)
    assert (seen.value, seen.detail, seen.samples) == (2, "jinja2 2.4.1: PYSEC-1, jinja2 2.4.1: PYSEC-2", 2)
    pinned.write_text("jinja2==3.1.4\n")
    assert audited(osv, requirements=pinned).value == 0
    assert audited(osv, requirements=pinned).detail == "1 packages audited"


def test_an_environment_is_audited_as_it_is_installed(osv: str, venv: Path) -> None:
    """The packages that are installed are asked about, without running anything of them."""
    assert audited(osv, environment=venv).value == 0
    installed(venv, "jinja2", "2.4.1")
    assert audited(osv, environment=venv).value == 2
    assert audited(osv, environment=venv, ignore=["Jinja2"]).value == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("jinja2>=2\n", "requirement jinja2 is not pinned to an exact version"),
        ("", "there is no package to audit"),
        ("jinja2==2.4.1\n-e .\n", "1 of 2 packages could not be audited"),
    ],
)
def test_what_cannot_be_audited_is_unknown(osv: str, pinned: Path, text: str, reason: str) -> None:
    """Requirements that leave the version open, or hold nothing, are not safe."""
    pinned.write_text(text)
    assert reason in unaudited(osv, requirements=pinned)


def test_advisories_that_are_away_are_unknown(pinned: Path, tmp_path: Path) -> None:
    """A service that does not answer finds nothing, which is not the same as nothing being there."""
    assert "pip-audit gave no answer" in unaudited("http://127.0.0.1:9/v1/query", requirements=pinned)
    assert "does not exist" in unaudited("http://127.0.0.1:9/v1/query", requirements=tmp_path / "no.txt")
    assert "is no virtual environment" in unaudited("http://127.0.0.1:9/v1/query", environment=tmp_path)


def test_only_the_environments_services_are_asked(pinned: Path) -> None:
    """Advisories come from a host that the settings name."""
    said = reason_of(probe("vulnerabilities", requirements=pinned, advisories="http://evil.test/v1/query"))
    assert "evil.test:80 is no host of the environment" in said


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    """Stand-ins, where nothing lies beside the interpreter."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    return stand_ins(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "shop", "skip_reason": "not on PyPI"}]}, 0,
            "1 of 2 packages could not be audited: shop (not on PyPI)",
        ),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 1, "ended with exit status 1"),
        ({"dependencies": []}, 0, "there is no package to audit"),
        ({"packages": []}, 0, "the program's answer cannot be read"),
        ([], 0, "the program's answer cannot be read"),
        ("Oh no", 1, "the program's answer cannot be read"),
    ],
)  # fmt: skip
def test_a_package_that_was_skipped_is_unknown(
    program: Callable[..., StandIn], pinned: Path, document: Any, status: int, reason: str
) -> None:
    """A package that nobody looked at, and an answer that cannot be read, are unknown."""
    program("pip-audit", document, status=status)
    assert reason in reason_of(probe("vulnerabilities", requirements=pinned))


@pytest.mark.parametrize(("measure", "name"), [("vulnerabilities", "pip-audit"), ("findings", "bandit")])
def test_a_missing_program_says_what_to_install(program: Callable[..., StandIn], pinned: Path, measure: str, name: str) -> None:
    """Without the extra it is unknown with the command that brings it."""
    option = {"vulnerabilities": {"requirements": pinned}, "findings": {"project": pinned}}[measure]
    assert reason_of(probe(measure, **option)) == f"{name} is not installed: pip install 'proofbook[packages]'"


def test_a_program_that_hangs_is_unknown_at_the_deadline(program: Callable[..., StandIn], pinned: Path) -> None:
    """The deadline holds."""
    program("bandit", slow=30)
    assert reason_of(probe("findings", project=pinned, timeout="300ms")).endswith("did not end within 300 ms")


@pytest.fixture
def index(httpserver: HTTPServer) -> str:
    """A package index that has a newer alpha, and the same beta; gives its address."""
    for name, version in (("alpha", "1.5"), ("beta", "2.0")):
        page = f'<html><body><a href="/f/{name}-{version}-py3-none-any.whl">{name}-{version}-py3-none-any.whl</a></body></html>'
        httpserver.expect_request(f"/simple/{name}/").respond_with_data(page, content_type="text/html")
    return httpserver.url_for("/simple")


def outdated(index: str, venv: Path, **options: Any) -> dict[str, Any]:
    """A declared measurement of what is outdated."""
    return probe("outdated", environment=venv, index=index, **options)


def test_packages_with_a_newer_release_are_counted(index: str, venv: Path) -> None:
    """The index's newest release is compared with what is installed."""
    seen = measured(outdated("{index}", venv), settled=settings({"index": index}))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail, seen.samples) == (1, "alpha 1.0 → 1.5", 2)
    assert value_of(outdated("{index}", venv, ignore=["alpha"]), settled=settings({"index": index})) == 0


def test_a_package_that_no_index_knows_is_unknown(index: str, venv: Path) -> None:
    """Pip passes over a package that it cannot look up; we don't, unless it is left out by name."""
    installed(venv, "shop", "1.0")
    said = reason_of(outdated("{index}", venv), settled=settings({"index": index}))
    assert f"1 of 3 packages could not be looked up at {index}: shop" in said
    assert value_of(outdated("{index}", venv, ignore=["shop"]), settled=settings({"index": index})) == 1


def test_an_index_that_is_away_is_unknown(venv: Path, tmp_path: Path) -> None:
    """Pip says that nothing is outdated where the index does not answer; that is not so."""
    away = "http://127.0.0.1:9/simple"
    assert "2 of 2 packages could not be looked up" in reason_of(outdated("{index}", venv), settled=settings({"index": away}))
    (tmp_path / "empty" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    said = reason_of(outdated("{index}", tmp_path / "empty"), settled=settings({"index": away}))
    assert "pip looked no package of" in said


def test_licences_outside_the_list_are_counted(venv: Path) -> None:
    """Expressions, classifiers and words are compared with what is allowed."""
    assert value_of(probe("licences", environment=venv, allow=["mit", "BSD License"])) == 0
    seen = measured(probe("licences", environment=venv, allow=["GPL-3.0-only"]))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail, seen.samples) == (1, "beta: BSD License", 2)
    installed(venv, "gamma", "1", "License: Beerware")
    assert value_of(probe("licences", environment=venv, allow=["MIT", "BSD License"])) == 1


def test_a_package_without_a_licence_is_unknown(venv: Path, tmp_path: Path) -> None:
    """What names no licence is not allowed by that."""
    installed(venv, "Silent_One", "1", "Classifier: License :: OSI Approved", "License: UNKNOWN")
    allow = ["MIT", "BSD License"]
    assert reason_of(probe("licences", environment=venv, allow=allow)) == "1 of 3 packages name no licence: Silent_One"
    assert value_of(probe("licences", environment=venv, allow=allow, ignore=["silent-one"])) == 0
    (tmp_path / "empty" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    assert "there is no package in" in reason_of(probe("licences", environment=tmp_path / "empty", allow=allow))


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT License", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND Apache-2.0", True),
        ("GPL-3.0-only OR (MIT AND Apache-2.0)", True),
        ("GPL-3.0-only AND (MIT OR Apache-2.0)", False),
        ("GPL-3.0-only OR MIT AND GPL-2.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT OR", False),
        ("(MIT", False),
        ("MIT)", False),
        ("MIT Apache-2.0", False),
        ("OR", False),
        ("", False),
        ("(" * 500 + "MIT" + ")" * 500, False),
        ("BSD 3-Clause", True),
    ],
)
def test_a_licence_expression_is_read_as_spdx_says(licence: str, fine: bool) -> None:
    """AND binds closer than OR; what is no expression is allowed only word for word."""
    assert permits(licence, {"mit", "apache-2.0", "bsd 3-clause"}) is fine


@given(st.lists(st.sampled_from(["MIT", "GPL", "(", ")", "AND", "OR", "WITH"]), max_size=12))
def test_no_expression_is_allowed_without_an_allowed_licence(words: list[str]) -> None:
    """Whatever stands there, nothing is permitted unless something in it is."""
    assert not permits(" ".join(words), {"apache-2.0"})


@pytest.mark.parametrize(("severity", "count"), [("low", 4), ("medium", 2), ("high", 1)])
def test_findings_are_counted_by_severity(tmp_path: Path, severity: str, count: int) -> None:
    """Bandit's findings of at least the severity count, and the detail says where they are."""
    (tmp_path / "shop.py").write_text(FLAWED)
    seen = measured(probe("findings", project=tmp_path, severity=severity))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.samples) == (count, 4)
    assert "B602 in shop.py:2" in seen.detail


def test_code_cannot_switch_off_what_would_find_it(tmp_path: Path) -> None:
    """A .bandit file in the code changes nothing; lines that are waived are counted in the detail."""
    (tmp_path / "shop.py").write_text(FLAWED.replace('eval("1")', 'eval("1")  # nosec'))
    (tmp_path / ".bandit").write_text("[bandit]\nskips: B602,B307\n")
    seen = measured(probe("findings", project=tmp_path))
    assert isinstance(seen, Observation), seen
    assert seen.value == 1
    assert seen.detail.endswith("1 lines waived by nosec")


def test_code_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """A file that bandit cannot parse was not looked at; no code at all is nothing to praise."""
    assert "there is no Python code in" in reason_of(probe("findings", project=tmp_path))
    (tmp_path / "fine.py").write_text("a = 1\n")
    assert value_of(probe("findings", project=tmp_path)) == 0
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert "bandit could not read 1 files" in reason_of(probe("findings", project=tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"measure": "vulnerabilities"},
        {"measure": "vulnerabilities", "requirements": "a", "environment": "b"},
        {"measure": "findings", "environment": "b"},
        {"measure": "licences", "environment": "b"},
        {"measure": "outdated", "environment": "b", "allow": ["MIT"]},
    ],
)
def test_each_measure_names_what_it_looks_at(options: dict[str, Any]) -> None:
    """A declaration that could measure nothing is refused."""
    with pytest.raises(DataError, match="the probe of shop/figure is not valid"):
        measured({"kind": "packages", **options})
