"""``proofbook operate``: walk a runbook in the terminal, step by step."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from checks.cli._ending import ending_cleanly
from checks.cli._shared import EnvironmentOption, RootOption, console, say, workspace
from checks.cli.run import ParametersOption, print_outcomes

if TYPE_CHECKING:
    from rich.console import Console

    from checks.respond.person import Answer
    from checks.respond.steps import Page

_TITLE = re.compile(r"\A\s*#\s+[^\n]*\n?")
_OWN_NUMBER = re.compile(r"\A(?:step\s+)?\d+\s*[.:)]\s+", re.IGNORECASE)
_CLASS_STYLES = {"read": "green", "manual": "cyan", "change": "bold yellow", "destructive": "bold white on red"}
_CLASS_WORDS = {
    "read": "only looks",
    "manual": "is yours to do",
    "change": "changes the system",
    "destructive": "destroys something",
}


def operate(
    runbook: Annotated[str, typer.Argument(help="Its slug, such as shop/rollback.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every step; execute and journal nothing.")] = False,
    parameters: ParametersOption = None,
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Walk a runbook step by step in one live kernel; every answer is journaled.

    Each step is shown and asked for before it runs. A destructive one wants the system's name typed and shows how it is
    undone. Exit 0 ok, 1 warning, 2 critical, 3 unknown; 77 where nobody sits at a terminal, 75 where somebody else operates it
    there already: who, and since when, is told.

    Example: `proofbook operate shop/rollback --dry-run`
    """
    from datetime import UTC, datetime

    from checks.journal import open_journal
    from checks.model import Trigger
    from checks.respond import operate as operating
    from checks.run import kernels
    from checks.run.execution import prepare, require_environment
    from checks.run.parameters import parse, validate

    place = workspace(root, environment)
    book = place.catalogue.runbook(runbook)
    terminal = _Terminal(console(stderr=not dry_run))
    given = parse(parameters or [])
    if dry_run:
        # Made ready, a run would leave a trace.
        require_environment(book, place.environment)
        validate(book, given)
        shown = operating.pages(book, place.catalogue)
        for page in shown:
            terminal.show_step(page, number=page.step.number, count=shown[-1].step.number)
        say("nothing was executed")
        return
    prepared = prepare(
        book,
        place.catalogue,
        environment=place.environment,
        variables=place.variables,
        parameters=given,
        trigger=Trigger.OPERATOR,
        now=datetime.now(UTC),
    )
    # What the kernel needs can be loaded while this process makes the run ready.
    kernels.warm_up(())
    with open_journal(place.catalogue.settings.journal) as journal:
        if not sys.stdin.isatty():
            operating.refuse_without_a_person(prepared, journal, datetime.now(UTC))
        operating.require_free(prepared, journal, datetime.now(UTC))
        say(f"{book.title} ({book.slug}) in {place.environment}")
        say(f"run {prepared.run.id}; Ctrl-C ends it at any time")
        with ending_cleanly():
            outcome = operating.operate(prepared, terminal, journal, clock=lambda: datetime.now(UTC))
    print_outcomes([outcome])
    raise typer.Exit(outcome.run.status.exit_code)


class _Terminal:
    """The person at the terminal."""

    def __init__(self, target: Console) -> None:
        self.target = target

    def show_step(self, page: Page, *, number: int, count: int) -> None:
        """Show a step: its heading, class, prose and code; drawn on a terminal, as it is written elsewhere."""
        if not self.target.is_terminal:
            head = f"Step {number} of {count}: {page.step.title}" if number else "Before the steps"
            self._print(f"\n{head} ({page.step.step_class.value})\n")
            for kind, text in page.parts:
                self._print(text if kind == "markdown" else f"```{kind}\n{text.rstrip()}\n```", end="\n\n")
            return
        from rich.markdown import Markdown
        from rich.padding import Padding
        from rich.syntax import Syntax
        from rich.text import Text

        name = page.step.step_class.value
        title = _OWN_NUMBER.sub("", page.step.title)
        heading = Text.assemble(
            (f"Step {number} of {count}  " if number else "Before the steps  ", "dim"),
            (f"{title}  " if title else "", "bold"),
            (f" {name}: {_CLASS_WORDS[name]} ", _CLASS_STYLES[name]),
        )
        self._print("")
        self._print(heading)
        for kind, text in page.parts:
            # The title is said already, above the first step.
            shown = Markdown(_TITLE.sub("", text)) if kind == "markdown" else Syntax(text.rstrip(), kind, word_wrap=True)
            self._print(Padding(shown, (0, 2)))
        if name == "destructive" and page.undo:
            self._print(Text("How to undo it:", "bold"))
            self._print(Padding(Markdown(page.undo), (0, 2)))

    def ask(self, question: str, answers: Sequence[Answer], default: Answer | None) -> Answer:
        """Ask until one of the answers is given, in full or by its first letters where they are its own."""
        words = ", ".join(f"[{answer.value}]" if answer is default else answer.value for answer in answers)
        while True:
            typed = self.ask_text(f"{question} {words}: ").lower()
            if not typed and default is not None:
                return default
            exact = [answer for answer in answers if answer.value == typed]
            fitting = exact or [answer for answer in answers if typed and answer.value.startswith(typed)]
            if len(fitting) == 1:
                return fitting[0]
            self.tell(f"Please answer with one of: {', '.join(answer.value for answer in answers)}")

    def ask_text(self, question: str) -> str:
        """Ask for a line of text."""
        from checks.respond.person import Gone

        self._print(_inert(question), end="")
        try:
            line = sys.stdin.readline()
        except OSError as error:
            raise Gone from error
        if not line:
            raise Gone
        return line.strip()

    def hear(self, output: Any) -> None:
        """Show one output of a cell as plain text; what the system said can neither move the cursor nor colour anything."""
        from contextlib import suppress

        from checks.respond.person import Gone

        if output.output_type == "stream":
            text = output.text
        elif output.output_type == "error":
            text = f"{output.ename}: {output.evalue}\n"
        else:
            text = f"{output.data.get('text/plain', '')}\n"
        with suppress(Gone):
            # The kernel's thread calls this, and must not end with a terminal; the next question will.
            self._print(_inert(text), end="")

    def tell(self, text: str) -> None:
        """Say a line."""
        self._print(_inert(text))

    def _print(self, shown: Any, end: str = "\n") -> None:
        from checks.respond.person import Gone

        try:
            self.target.print(shown, end=end, markup=False)
            self.target.file.flush()
        except OSError as error:
            raise Gone from error


def _inert(text: str) -> str:
    """Text without control, escape or direction characters; lines and tabs stay."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else "�" for c in text)
