"""What a Python project is built of: known vulnerabilities, outdated packages, licences, and what bandit finds in the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes import _licences
from checks.probes._programs import Ended, run
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped, within
from checks.probes._targets import NoTarget, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import PackagesProbe

_NAMED = 3
_LOOKED_UP = re.compile(r"location\(s\) to search for versions of (\S+):")
_FETCHED = re.compile(r" Fetched page ")


def probe(declaration: PackagesProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Look at a project's packages or code; see `PackagesProbe`."""
    del unit
    what = settled.fill(declaration.requirements or declaration.environment or declaration.project or "")
    measuring = Measuring(now, f"{declaration.measure} of {what}", settled)
    for address in filter(None, (declaration.advisories, declaration.index)):
        try:
            refuse_strangers(settled.fill(address), settled)
        except NoTarget as error:
            return measuring.failed(str(error))
    path = Path(what)
    if not path.exists():
        return measuring.failed(f"{what} does not exist")
    folders = _folders(path) if declaration.environment else []
    if declaration.environment and not folders:
        return measuring.failed(f"{what} is no virtual environment: it has no lib/python*/site-packages")
    # What may not be read would otherwise be taken for empty.
    closed = [folder for folder in folders or [path] if not os.access(folder, os.R_OK, effective_ids=True)]
    if closed:
        return measuring.failed(f"{closed[0]} may not be read")
    measure: Callable[[PackagesProbe, Path, list[Path], Measuring], Observation | Unmeasured] = {
        "vulnerabilities": _vulnerabilities,
        "outdated": _outdated,
        "licences": _outside,
        "findings": _findings,
    }[declaration.measure]
    try:
        return measure(declaration, path, folders, measuring)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return measuring.failed(f"the program's answer cannot be read: {measuring.source}")


def _vulnerabilities(
    declaration: PackagesProbe, path: Path, folders: list[Path], measuring: Measuring
) -> Observation | Unmeasured:
    program = _program("pip-audit")
    if program is None:
        return _to_be_installed("pip-audit", measuring)
    # Resolving or installing would run the packages' own code: what is pinned is asked about, nothing more.
    what = [f"--path={folder}" for folder in folders] or ["--disable-pip", "--no-deps", f"--requirement={path}"]
    osv = measuring.settled.fill(declaration.advisories) if declaration.advisories else ""
    service = ["--vulnerability-service=osv", f"--osv-url={osv}"] if osv else []
    argv = [program, "--format=json", "--progress-spinner=off", *service, *what]
    ended = run(argv, declaration.timeout.total_seconds(), measuring)
    if isinstance(ended, Unmeasured):
        return ended
    if not ended.output.strip():
        return measuring.failed(f"pip-audit gave no answer: {_said(ended)}")
    looked_at = json.loads(ended.output)["dependencies"]
    packages = [one for one in looked_at if not _ignored(declaration, one["name"])]
    skipped = [f"{one['name']} ({one['skip_reason']})" for one in packages if "skip_reason" in one]
    if skipped:
        return measuring.failed(f"{len(skipped)} of {len(packages)} packages could not be audited: {_some(skipped)}")
    if not packages:
        return measuring.failed(f"there is no package to audit in {path}")
    found = [f"{one['name']} {one['version']}: {fault['id']}" for one in packages for fault in one["vulns"]]
    if ended.status != 0 and not any(one.get("vulns") for one in looked_at):
        return measuring.failed(f"pip-audit ended with exit status {ended.status}: {_said(ended)}")
    return measuring.gave(len(found), "", _some(found) or f"{len(packages)} packages audited", samples=len(packages))


def _outdated(declaration: PackagesProbe, path: Path, folders: list[Path], measuring: Measuring) -> Observation | Unmeasured:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        index = measuring.settled.fill(declaration.index) if declaration.index else ""
        # Without --isolated, a setting of whoever runs this would choose another index.
        alone, chosen = (["--isolated"], [f"--index-url={index}"]) if index else ([], [])
        argv = [sys.executable, "-I", "-m", "pip", *alone, "--no-input", "--disable-pip-version-check", "--retries=1",
                f"--log={log}", "list", *chosen, "--outdated", "--format=json", *(f"--path={one}" for one in folders),
                *(f"--exclude={name}" for name in declaration.ignore)]  # fmt: skip
        ended = run(argv, declaration.timeout.total_seconds(), measuring)
        count, unseen = _looked_up(log)
    if isinstance(ended, Unmeasured):
        return ended
    if ended.status != 0:
        missing = b"No module named pip" in ended.errors
        return measuring.failed("pip is not installed beside Proofbook" if missing else f"pip gave no answer: {_said(ended)}")
    # pip takes a package that it cannot look up, and an index that is away, for one that is up to date.
    if not count:
        return measuring.failed(f"pip looked no package of {path} up")
    if unseen:
        where = f" at {without_userinfo(index)}" if index else ""
        return measuring.failed(f"{len(unseen)} of {count} packages could not be looked up{where}: {_some(unseen)}")
    found = [f"{one['name']} {one['version']} → {one['latest_version']}" for one in json.loads(ended.output)]
    return measuring.gave(len(found), "", _some(found) or f"{count} packages looked up", samples=count)


def _looked_up(log: Path) -> tuple[int, list[str]]:
    """How many packages pip looked for, and those of them that no index gave a page of."""
    unseen: list[str] = []
    count = 0
    if not log.exists():
        return 0, []
    # It names every file of every package, so that it may be long.
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := _LOOKED_UP.search(line):
                count += 1
                unseen.append(match.group(1))
            elif _FETCHED.search(line) and unseen:
                unseen[-1] = ""
    return count, [name for name in unseen if name]


def _outside(declaration: PackagesProbe, path: Path, folders: list[Path], measuring: Measuring) -> Observation | Unmeasured:
    allowed = frozenset(name.lower() for name in declaration.allow)
    ignored = frozenset(map(_licences.normalised, declaration.ignore))
    seconds = declaration.timeout.total_seconds()
    try:
        count, bad, silent = within(seconds, lambda: _licences.outside(folders, allowed, ignored))
    except TimeoutError:
        return measuring.late(seconds)
    note(f"{count} packages have metadata; allowed are {', '.join(declaration.allow)}")
    if not count:
        return measuring.failed(f"there is no package in {path}")
    if silent:
        return measuring.failed(f"{len(silent)} of {count} packages name no licence: {_some(sorted(silent))}")
    found = [f"{name}: {clipped(licence, 60)}" for name, licence in sorted(bad.items())]
    return measuring.gave(len(bad), "", _some(found) or f"{count} packages", samples=count)


def _findings(declaration: PackagesProbe, path: Path, _: list[Path], measuring: Measuring) -> Observation | Unmeasured:
    program = _program("bandit")
    if program is None:
        return _to_be_installed("bandit", measuring)
    # The code's own .bandit file could switch off what would find it.
    argv = [program, "--recursive", "--format=json", "--quiet", "--exit-zero", "--ini=/dev/null",
            f"--severity-level={declaration.severity}", "--", str(path)]  # fmt: skip
    ended = run(argv, declaration.timeout.total_seconds(), measuring)
    if isinstance(ended, Unmeasured):
        return ended
    if ended.status != 0 or not ended.output.strip():
        return measuring.failed(f"bandit gave no answer: {_said(ended)}")
    document = json.loads(ended.output)
    if document["errors"]:
        unread = [f"{_within(path, one['filename'])} ({one['reason']})" for one in document["errors"]]
        return measuring.failed(f"bandit could not read {len(unread)} files: {_some(unread)}")
    lines, waived = int(document["metrics"]["_totals"]["loc"]), int(document["metrics"]["_totals"]["nosec"])
    if not lines:
        return measuring.failed(f"there is no Python code in {path}")
    found = [f"{one['test_id']} in {_within(path, one['filename'])}:{one['line_number']}" for one in document["results"]]
    detail = "; ".join(filter(None, [_some(found), f"{waived} lines waived by nosec" if waived else ""]))
    return measuring.gave(len(found), "", detail or f"{lines:,} lines read", samples=lines)


def _folders(environment: Path) -> list[Path]:
    return sorted(folder for folder in environment.glob("lib/python*/site-packages") if folder.is_dir())


def _program(name: str) -> str | None:
    """Where a program lies: beside the interpreter that runs Proofbook, or on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _to_be_installed(name: str, measuring: Measuring) -> Unmeasured:
    return measuring.failed(f"{name} is not installed: pip install 'proofbook[packages]'")


def _ignored(declaration: PackagesProbe, name: Any) -> bool:
    return _licences.normalised(str(name)) in map(_licences.normalised, declaration.ignore)


def _said(ended: Ended) -> str:
    """The line that says what went wrong; what follows it is mostly advice."""
    lines = ended.errors.decode("utf-8", "replace").strip().splitlines()
    wrong = next((line for line in lines if line.startswith(("ERROR", "CRITICAL"))), lines[-1] if lines else "it said nothing")
    return clipped(wrong, 200)


def _within(folder: Path, name: str) -> str:
    """A file as whoever knows the project calls it, so that its line is not cut off behind a long way to it."""
    return os.path.relpath(name, folder) if Path(name) != folder else name


def _some(names: list[str]) -> str:
    return ", ".join(clipped(name, 90) for name in names[:_NAMED]) + (
        f" and {len(names) - _NAMED} more" if names[_NAMED:] else ""
    )
