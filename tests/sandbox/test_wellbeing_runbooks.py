"""The procedures of wellbeing, walked from their first step to their last against a stand-in that is really running."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue
from checks.catalogue.gaps import checked_in
from checks.model import Result, Status
from checks.sandbox import supervisor
from tests.sandbox.support import ask
from tests.sandbox.walks import walk

ROOT = Path(__file__).parents[2]
SYSTEM = "wellbeing"
# What a walk may leave below its target for a minute: requests that a restart turned away, a cache that has to fill, an index
# that nothing has come to use again within its twenty seconds.
WINDOWED = {"error-rate", "response-p95", "cache-hit-rate", "unused-indexes"}

Walk = Callable[..., dict[str, list[Result]]]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a stand-in in a process of its own, which is started again when it ends."""
    state = tmp_path_factory.mktemp("state")
    assert supervisor.up(state, [SYSTEM])[SYSTEM].url
    yield supervisor.variables(state)
    supervisor.down(state)


@pytest.fixture
def walked(catalogue: Catalogue, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Walks a runbook of the system, and sees that nothing but what is windowed is other than ok."""

    def walking(name: str, **more: Any) -> dict[str, list[Result]]:
        results = walk(catalogue, f"{SYSTEM}/{name}", variables, tmp_path, monkeypatch, **more)
        assert results
        last = {metric: found[-1] for metric, found in results.items()}
        assert {metric for metric, result in last.items() if result.status is not Status.OK} <= WINDOWED
        return results

    return walking


def operator(variables: dict[str, str], path: str) -> Any:
    """What the operator is answered at a path."""
    return ask(f"{variables['WELLBEING_URL']}{path}", token=variables["WELLBEING_ADMIN_TOKEN"]).body


def test_a_month_can_be_walked(walked: Walk, variables: dict[str, str]) -> None:
    """The key is renewed and taken up, and what was issued before it is refused."""
    before = operator(variables, "/admin/secret-key")["in_use_since"]
    walked("monthly-security")
    assert operator(variables, "/admin/secret-key")["in_use_since"] > before


def test_a_package_is_updated_tested_deployed_and_taken_back(walked: Walk, variables: dict[str, str]) -> None:
    """What CI has passed is in use after the walk, and the step back puts what was there before in place."""
    before = operator(variables, "/admin/releases")
    walked("update-packages", without=frozenset({"8. Go back, if you must"}))
    after = operator(variables, "/admin/releases")
    assert (after["in_use"], after["before"]) == (after["commit"], before["commit"])


def test_services_are_restarted_and_their_log_is_archived_whole(walked: Walk, variables: dict[str, str]) -> None:
    """The archive holds the log up to its last line, and the log goes on without what was archived."""
    walked("services")
    archive = max(Path(variables["WELLBEING_SCRATCH"]).glob("app-*.jsonl.gz"))
    assert b'"message":"started"' in gzip.decompress(archive.read_bytes())
    assert Path(variables["WELLBEING_LOG"]).stat().st_size < len(gzip.decompress(archive.read_bytes()))
    assert archive.stat().st_mode & 0o077 == 0


def test_a_server_is_exchanged_and_instances_are_added(walked: Walk, variables: dict[str, str]) -> None:
    """After the walk all parts are up, and two instances share the requests that come through the proxy."""
    walked("scale", parameters={"instances": 2})
    assert len(operator(variables, "/admin/releases")["instances"]) == 2
    assert all(part["up"] for part in operator(variables, "/admin/parts").values() if "up" in part)


@pytest.mark.parametrize("name", ["database", "support-case"])
def test_a_small_procedure_can_be_walked(walked: Walk, catalogue: Catalogue, name: str) -> None:
    """Every step that a machine takes ends well on a healthy system, and all that its steps read is checked on the way."""
    assert set(checked_in(catalogue.runbooks[f"{SYSTEM}/{name}"])) <= set(walked(name))
