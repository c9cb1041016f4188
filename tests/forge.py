"""Programs of ours that tests start, forked from processes that have loaded already what they load.

Of the time of a short command most is Python loading modules, and the tests start hundreds: the command itself, the fork server
of kernels, the builder of pages. What is forked here is a process of its own all the same, with its own streams, folder,
environment, signals and exit status; only its modules come out of memory. What is about loading itself is told by a fixture,
`installed`, to start what is installed; so are the tutorial's commands and the first publication of `tests/whole`.

``subprocess.Popen`` is told by `begin`, in the process of the tests and in each command that is forked. Each process of the
tests has forges of its own, which are started when they are first needed and end with it.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

PROOFBOOK = Path(sys.executable).with_name("proofbook")

_LONGEST_MESSAGE = 1 << 17
_MOST_DESCRIPTORS = 16
_ASIDE = 200
# The command as `tests.run.command` starts it, with the terminal that it is given as its own.
_AT_A_TERMINAL = [sys.executable, "-m", "tests.run.command"]
# Of pytest only what our plugin loads is known before.
_PYTEST = [sys.executable, "-m", "pytest"]
# A process that is to be loaded in another way is none for a forge.
_OF_THE_INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_")
_SET_WHEN_FORKED = "PYTHONDONTWRITEBYTECODE"


class Program(Enum):
    """What a forge forks, by the beginning of its command line."""

    PROOFBOOK = (str(PROOFBOOK),)
    ZYGOTE = (sys.executable, "-I", "-m", "checks.run._zygote")
    MKDOCS = (sys.executable, "-P", "-m", "mkdocs")

    @property
    def interpreter(self) -> tuple[str, str]:
        """Python, as it is told to load what this program loads."""
        return sys.executable, "-I" if "-I" in self.value else "-P"


class Popen(subprocess.Popen[Any]):
    """As ``subprocess`` has it, but that what a forge can fork is forked."""

    _line: socket.socket | None = None

    def _execute_child(self, args: Any, *given: Any) -> None:
        # As in `subprocess`: executable, preexec_fn, close_fds, pass_fds, cwd, env, ..., and whose process it is to be.
        argv = [os.fspath(one) for one in args] if isinstance(args, list | tuple) else []
        program = _program(argv)
        env = dict(os.environ if given[5] is None else given[5])
        plain = given[1] is None and list(given[16:20]) == [None, None, None, -1] and given[21] == -1
        if program is None or not plain or not _as_usual(env):
            super()._execute_child(args, *given)  # type: ignore[misc]  # not a public name
            return
        order = _Order(argv, os.fspath(given[4] or Path.cwd()), env, list(given[3]), bool(given[20]))
        pipes = given[9:15]
        streams = [pipe if pipe >= 0 else place for place, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        self._line, self.pid = order.place(program, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # nor is this

    def _internal_poll(self, *given: Any, **more: Any) -> int | None:
        if self._line is None:
            code: int | None = super()._internal_poll(*given, **more)  # type: ignore[misc]  # nor is this
            return code
        return self._hear(0)

    def _wait(self, timeout: float | None) -> int:
        code = super()._wait(timeout) if self._line is None else self._hear(timeout)  # type: ignore[misc]  # nor is this
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(code)

    def _hear(self, seconds: float | None) -> int | None:
        if self.returncode is None and self._line is not None and select.select([self._line], [], [], seconds)[0]:
            said = self._line.recv(4)
            self._line.close()
            self.returncode = int.from_bytes(said, "big", signed=True) if said else -signal.SIGKILL
        return self.returncode


@dataclass(frozen=True, slots=True)
class _Order:
    """A process that is wanted.

    Attributes:
        argv: its command line.
        cwd: its folder.
        env: its whole environment.
        passed: the numbers of the descriptors that it inherits beside its streams.
        session: whether it leads a session of its own.

    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    passed: list[int]
    session: bool

    def place(self, program: Program, streams: Sequence[int]) -> tuple[socket.socket, int]:
        """Have it forked, with these streams; the line on which its exit status will be told, and its process."""
        line, theirs = socket.socketpair()
        # A command needs the others.
        further = [_control(other).fileno() for other in Program if other is not program] if program is Program.PROOFBOOK else []
        told = json.dumps([self.argv, self.cwd, self.env, self.passed, self.session]).encode()
        with theirs:
            socket.send_fds(_control(program), [told], [theirs.fileno(), *streams, *self.passed, *further])
        forked = line.recv(4)
        if not forked:
            raise RuntimeError(f"the forge of {program.name} is gone; what it said stands above")
        return line, int.from_bytes(forked, "big")

    def become(self, descriptors: Sequence[int]) -> None:
        """Let this process be it, but for what it does."""
        # First out of the way of the numbers that they are to have.
        aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ASIDE) for descriptor in descriptors]
        for descriptor in descriptors:
            os.close(descriptor)
        streams, passed, further = aside[:3], aside[3 : 3 + len(self.passed)], aside[3 + len(self.passed) :]
        for number, descriptor in [*enumerate(streams), *zip(self.passed, passed, strict=True)]:
            os.dup2(descriptor, number)
            if descriptor != number:
                os.close(descriptor)
        os.chdir(self.cwd)
        os.environ.clear()
        os.environ.update(self.env)
        time.tzset()
        random.seed()
        sys.argv = self.argv
        sys.dont_write_bytecode = bool(self.env.get(_SET_WHEN_FORKED))
        for name, place, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
            was = getattr(sys, name)
            # As Python itself opens them: what is said of an error is said at once.
            buffering = 1 if name == "stderr" or os.isatty(place) else -1
            opened = open(place, mode, buffering, encoding=was.encoding, errors=was.errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, opened)
        if further:
            others = [other for other in Program if other is not Program.PROOFBOOK]
            begin({other: socket.socket(fileno=number) for other, number in zip(others, further, strict=True)})


_controls: dict[tuple[int, Program], socket.socket] = {}
_began: dict[str, str] = {}


def begin(controls: Mapping[Program, socket.socket] | None = None) -> None:
    """Let this process have forked what forges can fork, from now on."""
    if sys.platform != "linux":
        return
    _began.update(os.environ)
    _controls.update({(os.getpid(), program): control for program, control in (controls or {}).items()})
    vars(subprocess)["Popen"] = Popen


def _program(argv: Sequence[str]) -> Program | None:
    if not _began:
        return None
    if list(argv[:3]) in (_AT_A_TERMINAL, _PYTEST):
        return Program.PROOFBOOK
    return next((one for one in Program if tuple(argv[: len(one.value)]) == one.value), None)


def _as_usual(env: Mapping[str, str]) -> bool:
    return _relevant(env).items() <= _relevant(_began).items()


def _relevant(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[name] for name in env if name.startswith(_OF_THE_INTERPRETER) and name != _SET_WHEN_FORKED}


def _control(program: Program) -> socket.socket:
    """The line to this process's forge of a program."""
    key = (os.getpid(), program)
    if key not in _controls:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            forge = subprocess.Popen(
                # Its name last, because a run looks for the fork server's among the command lines above it.
                [*program.interpreter, __file__, program.name, str(theirs.fileno()), program.value[-1]],
                env={**_began, "NO_MKDOCS_2_WARNING": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        _controls[key] = control
        atexit.register(_end, control, forge)
    return _controls[key]


def _end(control: socket.socket, forge: subprocess.Popen[bytes]) -> None:
    control.close()
    # What it forked may hold the line as well, and needs no forge any more.
    with suppress(subprocess.TimeoutExpired):
        forge.wait(10)


# What follows is what a forge does.


def _serve(control: socket.socket) -> tuple[_Order, list[int]] | None:
    """Fork whatever is asked for.

    Returns:
        In what was forked, what it is to be, and its descriptors; ``None`` when nobody can ask any more.

    """
    lines: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([control.fileno(), *lines], [], [])[0]:
            if ready in lines:
                _bury(ready, *lines.pop(ready))
                continue
            said, descriptors, _, _ = socket.recv_fds(control, _LONGEST_MESSAGE, _MOST_DESCRIPTORS)
            if not said:
                return None
            line, order = socket.socket(fileno=descriptors.pop(0)), _Order(*json.loads(said))
            reading, writing = os.pipe()
            if (pid := os.fork()) == 0:
                if order.session:
                    os.setsid()
                for inherited in (control, line, *(other for _, other in lines.values())):
                    inherited.close()
                for number in (reading, writing, *lines):
                    os.close(number)
                return order, descriptors
            os.close(writing)
            # It leads its session before anybody hears of it.
            os.read(reading, 1)
            os.close(reading)
            for number in descriptors:
                os.close(number)
            lines[os.pidfd_open(pid)] = (pid, line)
            # Whoever asked may have been killed meanwhile.
            with suppress(OSError):
                line.send(pid.to_bytes(4, "big"), socket.MSG_NOSIGNAL)


def _bury(descriptor: int, pid: int, line: socket.socket) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(descriptor)
    with line, suppress(OSError):
        line.send(code.to_bytes(4, "big", signed=True), socket.MSG_NOSIGNAL)


def _load(*names: str) -> None:
    for name in names:
        # One that is not installed is missed by whoever needs it.
        with suppress(ImportError):
            importlib.import_module(name)


def _load_command() -> Callable[[], object]:
    import checks
    from checks.cli import command

    theirs = ("checks.pytest_plugin", "checks.sandbox.", "checks.journal.migrations.", "checks.site.plugin", "checks.site.macros")
    ours = (module.name for module in pkgutil.walk_packages(checks.__path__, "checks."))
    _load(*(name for name in ours if not name.startswith(theirs)))
    _load(
        "alembic.command", "mako.ext.pygmentplugin", "pygments.formatters.html", "pygments.lexers.web", "sqlalchemy.ext.compiler"
    )
    _load("dateutil.rrule", "httpx", "icalendar", "jupytext", "psutil", "pydantic.dataclasses", "tornado.web", "ulid")
    _load("rich.console", "rich.progress", "rich.table", "typer._adapters")

    def be() -> None:
        if sys.argv[:3] == _AT_A_TERMINAL:
            del sys.argv[1:3]
            with suppress(OSError, ValueError):
                fcntl.ioctl(sys.stdin.fileno(), termios.TIOCSCTTY, 0)
        if sys.argv[:3] != _PYTEST:
            command()
        del sys.argv[1:3]
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` has it
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)

    return be


def _load_zygote() -> Callable[[], object]:
    from checks.run import _preload, _zygote

    _preload.preload(_preload.PRELOADED)
    return lambda: sys.exit(_zygote.main(sys.argv[4:]))


def _load_mkdocs() -> Callable[[], object]:
    from mkdocs import __main__ as program

    _load("checks.site.plugin", "checks.site.macros", "mkdocs.commands.build", "mkdocs.config.defaults", "mkdocs_macros.plugin")
    _load("material.plugins.search.plugin", "material.plugins.offline.plugin", "material.extensions.emoji", "material.templates")
    _load("checks.catalogue._load", "jupytext", "markdown.extensions.codehilite", "markdown.extensions.extra")
    _load("pygments.formatters.html", "pygments.lexers.python", "pygments.lexers.shell", "pygments.styles.default")
    _load("pymdownx.superfences")

    def build() -> None:
        sys.argv[:4] = [str(program.__file__)]
        program.cli()

    return build


_LOADERS = {Program.PROOFBOOK: _load_command, Program.ZYGOTE: _load_zygote, Program.MKDOCS: _load_mkdocs}


def _main(name: str, descriptor: str) -> None:
    be = _LOADERS[Program[name]]()
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=int(descriptor)))
    if wanted is not None:
        order, descriptors = wanted
        order.become(descriptors)
        be()


if __name__ == "__main__":
    _main(*sys.argv[1:3])
