"""The sandbox from outside: start it, end it, ask after it, break and heal its systems.

Everything lies below ``<state>/sandbox/``; the keeper's process is reached through ``keeper.json`` there, and is
believed only when it answers with the token that the file holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checks.errors import ServiceAway, UsageError
from checks.sandbox.keeper import BUSY_CODE, STATE_FILE, Condition
from checks.sandbox.kit_store import Faults, read_json
from checks.sandbox.systems import SYSTEMS, find_class

_ANSWER_WITHIN = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """How one system of the sandbox stands.

    Attributes:
        url: where it serves; empty while it does not.
        faults: the faults that are on, and since when (RFC 3339).
        reason: why it is not ready; empty where it is.

    """

    system: str
    condition: Condition
    url: str = ""
    pid: int | None = None
    reason: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)


def up(state: Path, systems: Sequence[str] | None = None, *, within: float = 30.0) -> dict[str, Standing]:
    """Start systems that do not run and wait until each is ready or has ended.

    Args:
        state: the project's state folder.
        systems: their slugs; all, where none are given.
        within: seconds to wait for.

    Returns:
        Each of the systems asked for and how it stands; look at `Standing.condition`: a system whose stand-in is
        missing has ended, with the reason, and the others run.

    Raises:
        UsageError: there is no such system.
        ServiceAway: the sandbox did not come up in time.

    """
    wanted = list(dict.fromkeys(systems or SYSTEMS))
    for system in wanted:
        _require_system(system)
    until = time.monotonic() + within
    folder = _folder(state)
    while _ask(folder, "POST", "/start", {"systems": wanted}) is None:
        _start_keeper(folder, wanted)
        if time.monotonic() > until:
            raise _too_late(folder, wanted, within)
    while True:
        standings = {system: standing for system, standing in status(state).items() if system in wanted}
        if all(standing.condition in (Condition.READY, Condition.ENDED) for standing in standings.values()):
            return standings
        if time.monotonic() > until:
            raise _too_late(folder, [name for name, one in standings.items() if one.condition is not Condition.READY], within)
        time.sleep(0.05)


def down(state: Path, *, within: float = 15.0) -> list[str]:
    """End every system and the keeper, and see that no process is left; data and faults stay.

    Returns:
        The systems that were running.

    Raises:
        ServiceAway: something is still running after `within` seconds.

    """
    folder = _folder(state)
    before = _ask(folder, "GET", "/state")
    if before is None:
        if (pid := _silent_keeper(folder)) is not None:
            _terminate(pid)
        (folder / STATE_FILE).unlink(missing_ok=True)
        return []
    pids = {int(before["pid"]), *(int(one["pid"]) for one in before["systems"].values() if "pid" in one)}
    _ask(folder, "POST", "/stop", {})
    until = time.monotonic() + within
    while left := {pid for pid in pids if _lives(pid)}:
        if time.monotonic() > until:
            raise ServiceAway(
                "the sandbox does not end", found=f"processes {sorted(left)}", remedy=f"kill -9 {' '.join(map(str, left))}"
            )
        time.sleep(0.05)
    return [name for name, one in before["systems"].items() if "pid" in one]


def status(state: Path) -> dict[str, Standing]:
    """How each system stands, in the order of `SYSTEMS`."""
    folder = _folder(state)
    seen = (_ask(folder, "GET", "/state") or {}).get("systems", {})
    standings = {}
    for system in SYSTEMS:
        one = seen.get(system, {})
        standings[system] = Standing(
            system,
            Condition(one.get("condition", Condition.DOWN.value)),
            url=one.get("url", ""),
            pid=one.get("pid"),
            reason=one.get("reason", ""),
            faults=Faults(folder / system / "faults.json").since(),
        )
    return standings


def variables(state: Path) -> dict[str, str]:
    """What the systems that are ready are reached by (``WELLBEING_URL`` …); nothing unless the keeper really answers."""
    seen = (_ask(_folder(state), "GET", "/state") or {}).get("systems", {})
    return {name: str(value) for one in seen.values() for name, value in one.get("variables", {}).items()}


def break_(state: Path, system: str, fault: str) -> str:
    """Switch a fault of a system on, whether or not it runs; what really happens from then on, in one line.

    Raises:
        UsageError: there is no such system or fault.

    """
    what = _require_fault(system, fault)
    Faults(_folder(state) / system / "faults.json").add(fault)
    return what


def heal(state: Path, system: str, fault: str | None = None) -> list[str]:
    """Switch one fault of a system off, or all; which were on.

    Raises:
        UsageError: there is no such system or fault.

    """
    _require_system(system)
    if fault is not None:
        _require_fault(system, fault)
    faults = Faults(_folder(state) / system / "faults.json")
    healed = [name for name in faults.since() if fault in (None, name)]
    faults.remove(fault)
    return healed


def faults_of(system: str) -> Mapping[str, str]:
    """Each fault that a system can have, and what really happens while it is on.

    Raises:
        UsageError: there is no such system, or its stand-in is missing.

    """
    _require_system(system)
    try:
        return find_class(system).FAULTS
    except (ImportError, AttributeError) as error:
        raise UsageError("the system's stand-in cannot be loaded", where=SYSTEMS[system], found=str(error)) from error


def _require_system(system: str) -> None:
    if system not in SYSTEMS:
        raise UsageError(
            "there is no such system in the sandbox",
            where=f"sandbox {system}",
            expected=f"one of {', '.join(SYSTEMS)}",
            found=system,
            remedy="name one of the systems above",
        )


def _require_fault(system: str, fault: str) -> str:
    faults = faults_of(system)
    if fault not in faults:
        raise UsageError(
            f"{system} has no such fault",
            where=f"sandbox {system}",
            expected="; ".join(f"{name} ({what})" for name, what in faults.items()),
            found=fault,
            remedy="name one of the faults above",
            example=f"proofbook sandbox break {system} {next(iter(faults), 'errors')}",
        )
    return faults[fault]


def _folder(state: Path) -> Path:
    return state.resolve() / "sandbox"


def _ask(folder: Path, method: str, path: str, body: object = None) -> dict[str, Any] | None:
    """What the keeper answers; ``None`` where there is none, or it is not this folder's."""
    known = read_json(folder / STATE_FILE)
    if not {"url", "token"} <= known.keys():
        return None
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{known['url']}{path}", data=data, method=method, headers={"Authorization": f"Bearer {known['token']}"}
    )
    try:
        # No proxy of the environment stands between this machine and itself.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_ANSWER_WITHIN) as answer:
            value = json.load(answer)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _start_keeper(folder: Path, systems: Sequence[str]) -> None:
    """Start a keeper and wait until it can be asked, or has found that there is one already."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "keeper.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "checks.sandbox.keeper", str(folder), *systems],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
    for _ in range(200):
        if _ask(folder, "GET", "/state") is not None:
            return
        code = process.poll()
        if code == BUSY_CODE:
            time.sleep(0.1)  # another one holds the lock: it is starting or ending
            return
        if code is not None:
            text = (folder / "keeper.out").read_text(encoding="utf-8", errors="replace").strip()
            raise ServiceAway(
                "the sandbox's keeper ended at once", where=str(folder / "keeper.out"), found=text[-500:] or f"exit code {code}"
            )
        time.sleep(0.03)


def _too_late(folder: Path, systems: Sequence[str], within: float) -> ServiceAway:
    return ServiceAway(
        f"the sandbox was not ready in {within:g} s",
        where=str(folder),
        expected="every system ready",
        found=f"still starting: {', '.join(systems)}",
        remedy="look into <system>/log/process.out there, then `proofbook sandbox down` and `proofbook sandbox up`",
    )


def _silent_keeper(folder: Path) -> int | None:
    """The process that holds the lock but does not answer, if there is one and it really is a keeper."""
    import psutil

    try:
        pid = int(read_json(folder / STATE_FILE).get("pid", 0))
        line = psutil.Process(pid).cmdline() if pid else []
    except (psutil.Error, ValueError):
        return None
    return pid if "checks.sandbox.keeper" in line and str(folder) in line else None


def _terminate(pid: int) -> None:
    import psutil

    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    process.terminate()
    try:
        process.wait(timeout=8)
    except psutil.TimeoutExpired:
        process.kill()  # its systems' standard inputs close with it, and end them


def _lives(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
