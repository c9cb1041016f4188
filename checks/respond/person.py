"""Who is asked and where it is written: what `operate` needs of the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from checks.run.many import Recorder

if TYPE_CHECKING:
    from checks.model import Run
    from checks.respond.steps import Page


class Answer(Enum):
    """What a person says to a step."""

    RUN = "run"
    SKIP = "skip"
    STOP = "stop"
    DONE = "done"
    NOT_DONE = "not done"
    AGAIN = "again"
    GO_ON = "go on"


class Gone(Exception):
    """There is nobody to ask any more."""


class Person(Protocol):
    """Who is asked; the terminal is one. Each question may raise `Gone` or KeyboardInterrupt."""

    def show_step(self, page: Page, *, number: int, count: int) -> None:
        """Show a step: its heading, class, prose and code."""

    def ask(self, question: str, answers: Sequence[Answer], default: Answer | None) -> Answer:
        """Ask until one of the answers is given."""

    def ask_text(self, question: str) -> str:
        """Ask for a line of text, which may be empty."""

    def hear(self, output: Any) -> None:
        """Show one output of a cell, secrets masked."""

    def tell(self, text: str) -> None:
        """Say a line."""


class Diary(Recorder, Protocol):
    """Where runs and events are written; the journal is one."""

    def under_way(self, runbook: str, environment: str) -> list[Run]:
        """The runs of a runbook that somebody is at work on, the oldest first."""

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened."""
