"""An IPython extension after which nothing that a cell starts can fail unseen.

``%%bash`` and ``%%sh`` run by ``bash -euo pipefail``; ``!command`` and ``lines = !command`` raise when the command does
not end with 0; an exception in a background thread fails the cell, and one in a task that nobody awaits fails the run;
``input()`` is refused. Every kernel of ``run`` and
``operate`` loads it, and so does ``import checks`` in JupyterLab.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from checks.errors import ProofbookError, Refused
from checks.run import valve
from checks.run.context import VARIABLE
from checks.run.unawaited import Tasks

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

_REFUSED_OPTIONS = {
    "--no-raise-error": "a failing command must be seen; write `command || true` where a failure is expected",
    "--bg": "a command in the background fails unseen; start it in the cell and wait for it",
}


class CommandFailed(ProofbookError):
    """A shell command of a cell did not end with 0."""

    exit_code = 65

    def __init__(self, code: int, said: str = "") -> None:
        self.code = code
        # The last line names the command, the one before it is mostly what that command had to say.
        last = [line.strip() for line in said.splitlines() if line.strip()][-2:]
        super().__init__(f"exit status {code}" + (f": {'; '.join(last)}" if last else ""))


class ThreadFailed(ProofbookError):
    """A background thread of a cell ended by an exception."""

    exit_code = 65


class _Strictness:
    """What the extension remembers of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.lost: list[str] = []
        self.tasks = Tasks(shell)
        self._inherited_hook = threading.excepthook

    def bash(self, line: str, cell: str) -> None:
        """Run a cell by ``bash -euo pipefail``; --out NAME and --err NAME keep what it says in a variable."""
        __tracebackhide__ = True
        from checks.run.shell_command import run_strict

        out, err, arguments = _read_options(line)
        kept: dict[str, list[str]] = {"out": [], "err": []}
        last_words = ""

        def on_error(text: str) -> None:
            nonlocal last_words
            last_words = (last_words + text)[-2000:]
            _tell(text, kept["err"] if err else None, sys.stderr)

        try:
            code = run_strict(
                cell,
                arguments,
                on_output=lambda text: _tell(text, kept["out"] if out else None, sys.stdout),
                on_error=on_error,
            )
        finally:
            for name, pieces in ((out, kept["out"]), (err, kept["err"])):
                if name:
                    self.shell.user_ns[name] = "".join(pieces)
        if code:
            raise CommandFailed(code, last_words)

    def system(self, command: str) -> None:
        """Run ``!command``; see `CommandFailed`."""
        __tracebackhide__ = True
        from checks.run.shell_command import run_strict

        # The frame in which the cell's names are looked up is the caller's.
        expanded: str = self.shell.var_expand(command, depth=1)  # type: ignore[no-untyped-call]
        last_words: list[str] = []

        def on_error(text: str) -> None:
            last_words.append(text)
            _tell(text, None, sys.stderr)

        code = run_strict(
            expanded,
            on_output=lambda text: _tell(text, None, sys.stdout),
            on_error=on_error,
        )
        self.shell.user_ns["_exit_code"] = code
        if code:
            raise CommandFailed(code, "".join(last_words))

    def getoutput(self, command: str, split: bool = True, depth: int = 0) -> Any:
        """Run ``lines = !command`` and give what it said, errors included; see `CommandFailed`."""
        __tracebackhide__ = True
        from IPython.utils.text import LSString, SList

        from checks.run.shell_command import run_strict

        expanded: str = self.shell.var_expand(command, depth=depth + 1)  # type: ignore[no-untyped-call]
        said: list[str] = []
        code = run_strict(expanded, on_output=said.append, on_error=said.append)
        self.shell.user_ns["_exit_code"] = code
        text = "".join(said)
        if code:
            raise CommandFailed(code, text)
        return SList(text.splitlines()) if split else LSString(text)

    def thread_failed(self, args: threading.ExceptHookArgs) -> None:
        """Remember what a background thread ended by, and let it be printed as well."""
        name = args.thread.name if args.thread is not None else "unnamed"
        self.lost.append(f"thread {name} ended by {args.exc_type.__name__}: {args.exc_value}")
        self._inherited_hook(args)

    def after_cell(self, result: ExecutionResult | None = None) -> None:
        """Let the cell fail during which, or before which, a background thread did."""
        if result is None or not self.lost or not result.success:
            return
        error = ThreadFailed(self.lost[0], remedy="wait for the thread in the cell and handle its exception there")
        self.lost.clear()
        result.error_in_exec = error
        self.shell.showtraceback((ThreadFailed, error, None))


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make a shell strict; a second time changes nothing."""
    if strictness_of(shell) is not None:
        return
    strictness = _Strictness(shell)
    shell._proofbook_strictness = strictness  # type: ignore[attr-defined]
    for name in ("bash", "sh"):
        shell.register_magic_function(strictness.bash, "cell", name)  # type: ignore[arg-type]
    shell.system = shell.system_piped = strictness.system  # type: ignore[method-assign]
    shell.getoutput = strictness.getoutput  # type: ignore[method-assign]
    threading.excepthook = strictness.thread_failed
    shell.events.register("post_run_cell", strictness.after_cell)
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is not None:
        # The kernel puts these in the place of input() and getpass() while a cell runs.
        kernel.raw_input = _refuse_input
        kernel.getpass = _refuse_input
    if VARIABLE in os.environ:
        # Without a person, quit() would end the kernel a moment later, and whether the next cell is seen would be chance.
        shell.ask_exit = _refuse_exit  # type: ignore[attr-defined]
        valve.stand_in(shell)
        _keep_from_our_terminal()


def _keep_from_our_terminal() -> None:
    """Stop the kernel's echo of what is written straight to its descriptors; it reaches the outputs all the same.

    The echo would stand, unmasked and with its control characters, amid what the command itself prints.
    """
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - pathlib would be imported for this alone
        for stream in (sys.stdout, sys.stderr):
            echo: int | None = getattr(stream, "_original_stdstream_copy", None)
            if echo is not None:
                os.dup2(nowhere.fileno(), echo)


def strictness_of(shell: InteractiveShell) -> _Strictness | None:
    """What the extension remembers of a shell; ``None`` where it is not loaded."""
    strictness: _Strictness | None = getattr(shell, "_proofbook_strictness", None)
    return strictness


def settle() -> dict[str, Any]:
    """What ``run`` asks a kernel once the last cell is done: wait for threads, then say what was lost and judged.

    Returns:
        ``lost``: what background threads and tasks ended by and no cell could be told; ``pending``: how many tasks have not
        ended; ``results``: how many results were emitted.

    Raises:
        RuntimeError: the shell is not strict.

    """
    from IPython import get_ipython

    shell = get_ipython()
    strictness = shell and strictness_of(shell)
    if not strictness:
        raise RuntimeError("the kernel is not strict")
    for thread in threading.enumerate():
        # Python itself waits for these before it ends; daemon threads it leaves behind, and so do we.
        if not thread.daemon and thread not in (threading.main_thread(), threading.current_thread()):
            thread.join()
    notebook = sys.modules.get("checks.run.notebook")
    tasks = strictness.tasks
    return {
        "lost": [*strictness.lost, *tasks.lost()],
        "pending": tasks.pending,
        "results": notebook.emitted() if notebook else 0,
    }


def _read_options(line: str) -> tuple[str | None, str | None, list[str]]:
    __tracebackhide__ = True
    import argparse
    import shlex

    words = shlex.split(line)
    for word in words:
        if word in _REFUSED_OPTIONS:
            raise Refused(f"%%bash {word} is refused", remedy=_REFUSED_OPTIONS[word])
    parser = argparse.ArgumentParser(prog="%%bash", add_help=False, allow_abbrev=False)
    parser.add_argument("--out")
    parser.add_argument("--err")
    options, arguments = parser.parse_known_args(words)
    return options.out, options.err, arguments


def _tell(text: str, kept: list[str] | None, stream: Any) -> None:
    if kept is not None:
        kept.append(text)
    else:
        stream.write(text)


def _refuse_input(*_args: object, **_options: object) -> str:
    __tracebackhide__ = True
    raise Refused(
        "input() is refused: nobody may be there to answer",
        remedy="declare a parameter in the front matter, or tag the step `manual`",
    )


def _refuse_exit() -> None:
    __tracebackhide__ = True
    raise Refused("quit() is refused: it would leave the steps after it unexecuted", remedy="raise an exception that says why")
