"""A repository on this machine: its tags, how far two refs are apart, the age of its last commit."""

from __future__ import annotations

import os
import time
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._programs import last_line, run
from checks.probes._support import Measuring, clipped

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import GitProbe

# A repository may come from anybody: of its configuration, whatever names a program is set aside.
_HARMLESS = (
    "--no-pager",
    "--no-optional-locks",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.alternateRefsCommand="),
    *("-c", "gpg.program=false"),
    # It is only read, so that it may be another user's.
    *("-c", "safe.directory=*"),
)
_VARIABLES = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false",
    # No protocol at all: a partial clone would otherwise fetch what it lacks, by a command of its configuration.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "HOME": "/nonexistent",
}


class _Refused(Exception):
    """What git could not tell; carries the answer to give."""

    def __init__(self, answer: Unmeasured) -> None:
        super().__init__(answer.reason)
        self.answer = answer


def probe(declaration: GitProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask a repository for its tags, its refs' distance or the age of a commit; see `GitProbe`."""
    del unit
    folder = settled.fill(declaration.repository)
    ref, against = settled.fill(declaration.ref), settled.fill(declaration.against or "")
    pattern = settled.fill(declaration.pattern)
    shown = {"tags": f"tags {pattern}", "age": f"age of {ref}"}.get(declaration.measure, f"{ref} {declaration.measure} {against}")
    measuring = Measuring(now, f"git in {folder}: {shown}", settled)
    repository = _Repository(folder, declaration.timeout.total_seconds(), measuring)
    try:
        if not Path(folder).is_dir():
            return measuring.failed(f"the folder {folder} does not exist")
        if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
            return measuring.failed(f"the folder {folder} may not be read")
        repository.ask("rev-parse", "--git-dir")
        match declaration.measure:
            case "tags":
                return _tags(repository, pattern, measuring)
            case "age":
                return _age(repository, ref, measuring)
            case _:
                return _distance(repository, ref, against, declaration.measure, measuring)
    except _Refused as error:
        return error.answer
    except (ValueError, IndexError):
        return measuring.failed(f"git's answer in {folder} cannot be read")


class _Repository:
    """One repository, asked within one deadline."""

    def __init__(self, folder: str, seconds: float, measuring: Measuring) -> None:
        self.folder = folder
        self.measuring = measuring
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def ask(self, *arguments: str) -> str:
        """What git says to a question.

        Raises:
            _Refused: it does not answer, or answers that it cannot.

        """
        status, output, errors = self._run(arguments)
        if status != 0:
            said = last_line(errors) or f"git ended with exit status {status}"
            raise _Refused(self.measuring.failed(f"git cannot answer in {self.folder}: {said}"))
        return output

    def commit(self, ref: str) -> str:
        """The name of the commit that a ref stands for; whatever the ref's text is, it is not taken for an option.

        Raises:
            _Refused: there is no such commit.

        """
        status, output, _ = self._run(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"))
        if status != 0 or not output.strip():
            raise _Refused(self.measuring.failed(f"there is no commit {clipped(ref, 80)} in {self.folder}"))
        return output.strip()

    def _run(self, arguments: tuple[str, ...]) -> tuple[int, str, bytes]:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise _Refused(self.measuring.late(self._seconds))
        # A folder that is no repository must not answer for the one that it lies in.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(Path(self.folder).resolve().parent)}
        environment = {"PATH": os.environ.get("PATH", os.defpath), **_VARIABLES, **ceiling}
        argv = ["git", *_HARMLESS, *arguments]
        ended = run(argv, left, self.measuring, environment, self.folder, shown=["git", *arguments])
        if isinstance(ended, Unmeasured):
            # The deadline is that of all questions together, not what was left of it for this one.
            raise _Refused(self.measuring.late(self._seconds) if time.monotonic() >= self._ends else ended)
        return ended.status, ended.output.decode("utf-8", "replace"), ended.errors


def _tags(repository: _Repository, pattern: str, measuring: Measuring) -> Observation | Unmeasured:
    names = repository.ask("for-each-ref", "--format=%(refname:strip=2)", "refs/tags/").splitlines()
    tags = [name for name in names if fnmatchcase(name, pattern)]
    return measuring.gave(len(tags), "", f"the last by name is {clipped(tags[-1], 60)}" if tags else "")


def _age(repository: _Repository, ref: str, measuring: Measuring) -> Observation | Unmeasured:
    commit = repository.commit(ref)
    written = repository.ask("rev-list", "--max-count=1", "--timestamp", commit).split()[0]
    seconds = measuring.now.timestamp() - int(written)
    if seconds < -60:
        return measuring.failed(f"the last commit of {ref}, {commit[:12]}, is dated in the future")
    return measuring.gave(max(0.0, seconds), "s", f"commit {commit[:12]}")


def _distance(repository: _Repository, ref: str, against: str, what: str, measuring: Measuring) -> Observation | Unmeasured:
    one, other = repository.commit(ref), repository.commit(against)
    if repository.ask("rev-parse", "--is-shallow-repository").strip() != "false":
        return measuring.failed(f"{repository.folder} is a shallow clone, which does not know how far two refs are apart")
    ahead, behind = map(int, repository.ask("rev-list", "--left-right", "--count", f"{one}...{other}").split())
    value = {"ahead": ahead, "behind": behind, "diverged": ahead + behind}[what]
    return measuring.gave(value, "", f"{ahead:,} ahead, {behind:,} behind")
