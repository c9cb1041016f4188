"""The sandbox as a whole: up, asked, broken, healed, down, and killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from checks import sandbox
from checks.errors import UsageError
from checks.sandbox.keeper import Condition
from checks.sandbox.supervisor import faults_of
from tests.sandbox.support import ask, eventually

SYSTEM = "wellbeing"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; whatever a test starts in it has ended afterwards."""
    yield tmp_path / "state"
    sandbox.down(tmp_path / "state")


def processes_of(state: Path) -> list[psutil.Process]:
    """Every process whose command line names this state folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(state) in part for part in line) and any("checks.sandbox" in part for part in line):
            found.append(process)
    return found


def keeper_of(state: Path) -> dict[str, str]:
    """What the keeper's file says."""
    return dict(json.loads((state / "sandbox" / "keeper.json").read_text(encoding="utf-8")))


def test_up_serves_and_down_leaves_no_process(state: Path) -> None:
    """Up returns when the system answers real requests at the address in its variables; down ends every process."""
    standing = sandbox.up(state, [SYSTEM])[SYSTEM]
    assert standing.condition is Condition.READY
    url = sandbox.variables(state)["WELLBEING_URL"]
    assert url == standing.url
    assert ask(f"{url}/metrics").body["requests"] >= 20
    assert len(processes_of(state)) == 2

    assert sandbox.down(state) == [SYSTEM]
    assert processes_of(state) == []
    assert sandbox.variables(state) == {}
    assert sandbox.down(state) == []


def test_up_twice_keeps_what_runs(state: Path) -> None:
    """A second up starts nothing that runs already."""
    first = sandbox.up(state, [SYSTEM])[SYSTEM]
    second = sandbox.up(state, [SYSTEM])[SYSTEM]

    assert first.pid == second.pid
    assert len(processes_of(state)) == 2


def test_a_second_time_finds_its_data_and_its_address(state: Path) -> None:
    """What was stored before down is there after the next up, at the same address."""
    sandbox.up(state, [SYSTEM])
    before = sandbox.variables(state)
    sandbox.down(state)
    sandbox.up(state, [SYSTEM])

    assert sandbox.variables(state) == before
    log = Path(before["WELLBEING_LOG"]).read_text(encoding="utf-8")
    assert log.count('"message":"started"') == 2


def test_nothing_outlives_a_killed_keeper_and_its_stale_file_is_not_believed(state: Path) -> None:
    """After kill -9 of the keeper its systems end by themselves, there are no variables, and up works again."""
    sandbox.up(state, [SYSTEM])
    stale = (state / "sandbox" / "keeper.json").read_text(encoding="utf-8")
    os.kill(int(keeper_of(state)["pid"]), signal.SIGKILL)

    eventually(lambda: processes_of(state) == [], within=8)
    assert (state / "sandbox" / "keeper.json").read_text(encoding="utf-8") == stale
    assert sandbox.variables(state) == {}
    assert sandbox.status(state)[SYSTEM].condition is Condition.DOWN
    assert sandbox.up(state, [SYSTEM])[SYSTEM].condition is Condition.READY


def test_nothing_outlives_its_folder(state: Path) -> None:
    """When the state folder is deleted under a running sandbox, its processes end by themselves."""
    sandbox.up(state, [SYSTEM])
    assert len(processes_of(state)) == 2
    shutil.rmtree(state, ignore_errors=True)

    eventually(lambda: processes_of(state) == [], within=12)


def test_a_keeper_answers_only_who_knows_its_token(state: Path) -> None:
    """Without the token of the state folder a keeper tells nothing, does not stop, and its file is for its owner alone."""
    sandbox.up(state, [SYSTEM])
    url = keeper_of(state)["url"]

    assert ask(f"{url}/state").status == 403
    assert ask(f"{url}/stop", method="POST", body={}, token="guess").status == 403
    assert sandbox.variables(state)
    assert (state / "sandbox" / "keeper.json").stat().st_mode & 0o077 == 0


def test_a_system_that_dies_is_said_to_have_ended(state: Path) -> None:
    """A killed system is shown as ended with the signal, and up starts it again."""
    pid = sandbox.up(state, [SYSTEM])[SYSTEM].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    eventually(lambda: sandbox.status(state)[SYSTEM].condition is Condition.ENDED)
    assert "SIGKILL" in sandbox.status(state)[SYSTEM].reason
    assert sandbox.up(state, [SYSTEM])[SYSTEM].condition is Condition.READY


def test_a_stand_in_that_is_missing_says_so_and_the_others_run(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system whose module cannot be imported has ended with the reason, and does not keep the others from running."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import checks.sandbox\nchecks.sandbox.SYSTEMS['mase'] = 'checks.sandbox.not_there:Nothing'\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(hook))

    standings = sandbox.up(state, [SYSTEM, "mase"])

    assert standings[SYSTEM].condition is Condition.READY
    assert standings["mase"].condition is Condition.ENDED
    assert "not_there" in standings["mase"].reason


def test_a_system_broken_while_down_is_broken_when_it_comes_up(state: Path) -> None:
    """A fault switched on before up is served from the first request on, and shown by status."""
    sandbox.break_(state, SYSTEM, "errors")
    sandbox.up(state, [SYSTEM])

    url = sandbox.variables(state)["WELLBEING_URL"]
    assert ask(f"{url}/metrics").body["error_rate"] > 50
    assert list(sandbox.status(state)[SYSTEM].faults) == ["errors"]


def test_healing_says_what_was_broken(state: Path) -> None:
    """Heal switches off one fault or all of a system, names them, and leaves other systems broken."""
    sandbox.break_(state, SYSTEM, "errors")
    sandbox.break_(state, SYSTEM, "slow")

    assert sandbox.heal(state, SYSTEM, "slow") == ["slow"]
    assert sandbox.heal(state, SYSTEM) == ["errors"]
    assert sandbox.heal(state, SYSTEM) == []


def test_an_unknown_fault_is_refused_with_those_that_are(state: Path) -> None:
    """Breaking by a fault or a system that does not exist says what was found, which there are, and an example."""
    with pytest.raises(UsageError) as caught:
        sandbox.break_(state, SYSTEM, "eror")
    text = str(caught.value)
    assert all(fault in text for fault in faults_of(SYSTEM))
    assert "found: eror" in text
    assert "proofbook sandbox break wellbeing" in text

    with pytest.raises(UsageError, match="no such system"):
        sandbox.heal(state, "nobody")
    with pytest.raises(UsageError, match="no such system"):
        sandbox.up(state, ["nobody"])


@pytest.mark.parametrize("system", list(sandbox.SYSTEMS))
def test_every_system_has_faults_that_say_what_happens(system: str) -> None:
    """Each stand-in can be loaded, is called as it is listed, and describes at least five faults in a sentence."""
    from checks.sandbox.systems import find_class

    stand_in = find_class(system)
    assert stand_in.name == system
    assert len(stand_in.FAULTS) >= 5
    assert all(what.endswith(".") and len(what) > 15 for what in stand_in.FAULTS.values())
