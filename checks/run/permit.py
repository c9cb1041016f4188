"""Which steps an execution may take: those that only read, and those that a person at a terminal granted, one by one."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from checks.errors import Refused
from checks.model import Step, StepClass

_RUN_VARIABLE = "PROOFBOOK_RUN"
_OURS = ("_warden.py", "checks.run._zygote")
_MOST_LOOKS = 100


@dataclass(slots=True)
class Permit:
    """What one execution may do; as it is made, reading and nothing else.

    Attributes:
        operator: the person who is asked before each step; empty where there is none, and then nothing can be granted.

    """

    operator: str = field(default="", init=False)
    _granted: set[int] = field(default_factory=set, init=False)

    @classmethod
    def of_operator(cls, operator: str) -> Permit:
        """A permit that a person may widen step by step.

        Raises:
            Refused: this process belongs to a run, in which nobody can be asked.

        """
        if inside_a_run():
            raise Refused(
                "a run operates nothing: no cell may answer for a person",
                where=os.environ.get(_RUN_VARIABLE),
                remedy="call proofbook operate from a terminal of your own",
            )
        made = cls()
        made.operator = operator
        return made

    def grant(self, step: Step) -> None:
        """Let a step be executed; the person has said so.

        Raises:
            Refused: there is no person.

        """
        if not self.operator:
            raise Refused(f"step {step.number} is a {step.step_class.value} step, and no operator is here to allow it")
        self._granted.add(step.number)

    def allows(self, step: Step) -> bool:
        """Whether a step may be executed now."""
        return step.step_class is StepClass.READ or step.number in self._granted


def inside_a_run() -> bool:
    """Whether a kernel of ours is above this process; where that cannot be seen (not Linux), what the environment says."""
    if _RUN_VARIABLE in os.environ:
        return True
    for _ in range(_MOST_LOOKS):
        with suppress(_Gone):
            return _below_ours()
    # Whoever lets its parents end faster than they can be looked at hides something.
    return True


class _Gone(Exception):
    """A process above this one ended while it was looked at, and this one has another parent now."""


def _below_ours() -> bool:
    process = os.getpid()
    while process > 1:
        try:
            command = Path(f"/proc/{process}/cmdline").read_text(errors="replace")
            above = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError as error:
            if Path("/proc/self").exists() and not _lives(process):
                raise _Gone from error
            return False
        if any(name in command for name in _OURS):
            return True
        process = above
    return False


def _lives(process: int) -> bool:
    """Whether there is such a process, even one that this user may not look at."""
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
