"""The part of a kernel that is built before it is forked: its application's options and its shell.

The server builds them once (`build`); each kernel that was asked for with the same options adopts them (`adopt`), and
nothing of the server's may show in them then. No socket, no thread and no event loop is made here.
"""

from __future__ import annotations

import atexit
import os
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# What every kernel of `run` is asked for with, after its connection file. A history would be a thread and a database.
OPTIONS = (
    "--HistoryManager.hist_file=:memory:",
    "--HistoryManager.enabled=False",
    "--InteractiveShell.colors=nocolor",
    "--InteractiveShellApp.extensions=checks.run.strict",
    "--log-level=40",
)
_NAMED_BY = "-f"


def build() -> None:
    """Build the application and the shell of a kernel with our options; a folder for it must exist at ``IPYTHONDIR``."""
    from ipykernel.compiler import XCachingCompiler
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell

    app: Any = IPKernelApp.instance()
    app.parse_command_line(list(OPTIONS))
    before = dict(os.environ)
    ZMQInteractiveShell.instance(config=app.config, compiler_class=XCachingCompiler)
    os.environ.clear()
    os.environ.update(before)


def connection_file(argv: Sequence[str]) -> str | None:
    """The connection file of a kernel that was asked for with our options; ``None`` where they are others."""
    ours = len(argv) == 2 + len(OPTIONS) and argv[0] == _NAMED_BY and tuple(argv[2:]) == OPTIONS
    return argv[1] if ours else None


def adopt(app: Any, argv: Sequence[str], named: str) -> None:
    """Let an application that `build` made begin as one that has just read its command line.

    Args:
        app: the application; it is initialized next.
        argv: its arguments.
        named: the connection file among them.

    """
    from ipykernel import ipkernel

    looking: Any = ipkernel

    def parse(_argv: object = None) -> None:
        app.argv = list(argv)
        told = deepcopy(app.cli_config)
        told.IPKernelApp.connection_file = named
        app.cli_config = told
        app.update_config(told)

    def init_shell() -> None:
        del app.init_shell, app.parse_command_line
        _settle(app.kernel)
        app.init_shell()

    def init_kernel() -> None:
        del app.init_kernel
        # A kernel notes where every module lies, for a debugger; ours has none, and looking would copy what is shared.
        looking.sys = SimpleNamespace(**{**vars(sys), "modules": {}})
        try:
            app.init_kernel()
        finally:
            looking.sys = sys

    app.parse_command_line, app.init_kernel, app.init_shell = parse, init_kernel, init_shell


def forget() -> None:
    """Undo `build`, for a kernel that was asked for with other options."""
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.zmqshell import ZMQInteractiveShell

    shell: Any = ZMQInteractiveShell.instance()
    shell.restore_sys_module_state()
    atexit.unregister(shell.atexit_operations)
    ZMQInteractiveShell.clear_instance()
    IPKernelApp.clear_instance()


def _settle(kernel: Any) -> None:
    """Give a shell its kernel, and let it look again at all that it saw of the server."""
    from IPython.paths import get_ipython_dir
    from IPython.utils.path import get_home_dir

    shell = kernel.shell
    shell.parent = shell.kernel = kernel
    shell.config = kernel.config
    shell.ipython_dir, shell.profile_dir = get_ipython_dir(), kernel.profile_dir
    shell.starting_dir, shell.home_dir = os.getcwd(), get_home_dir()  # noqa: PTH109 - as a shell itself does
    shell.init_environment()
    main = shell._orig_sys_modules_main_mod
    shell.save_sys_module_state()
    shell._orig_sys_modules_main_mod = main
    shell.sys_excepthook = sys.excepthook
    shell.init_encoding()
    shell.history_manager.dir_hist[:] = [Path.cwd()]
