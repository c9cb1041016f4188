"""What a forked process does to be a kernel like one that was started: nothing of the server's may show in it."""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from checks.run import bounds

if TYPE_CHECKING:
    from checks.run._guard import Job


def run(job: Job) -> int:
    """Be a kernel until it is told to end; its exit status."""
    # The server does without, and has frozen what it loaded.
    gc.enable()
    bounds.apply(job.env)
    _settle_in(job)
    if job.debugger:
        # The server loaded it as it is where there is no debugger.
        sys.modules.pop("ipykernel.debugger", None)
    from ipykernel.kernelapp import IPKernelApp

    from checks.run import _prepared

    named = _prepared.connection_file(job.argv)
    if named is None:
        _prepared.forget()
    app: Any = IPKernelApp.instance()
    if named is not None:
        _prepared.adopt(app, job.argv, named)
    # Its default was read from the server's environment.
    app.parent_handle = os.getppid()
    app.initialize(list(job.argv))
    _forget_ourselves_unless_strict(app.shell)
    app.start()
    return 0


def _settle_in(job: Job) -> None:
    if job.cwd:
        os.chdir(job.cwd)
    # Python itself sets this one where the locale would be plain ASCII.
    coerced = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    os.environ.clear()
    os.environ.update({**coerced, **job.env, "JPY_PARENT_PID": str(os.getppid())})
    time.tzset()
    tempfile.tempdir = None
    launcher = find_spec("ipykernel_launcher")
    sys.argv = [(launcher and launcher.origin) or "ipykernel_launcher", *job.argv]
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "multiprocessing.process" in sys.modules:
        # It was drawn when the module was loaded; kernels must not know one another's.
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    if "matplotlib" in sys.modules:
        _forget_folders(sys.modules["matplotlib"])


def _forget_folders(matplotlib: Any) -> None:
    """Let matplotlib look for its folders again: those that it found belong to the server."""
    for find in (matplotlib.get_configdir, matplotlib.get_cachedir):
        # Each remembers in its closure whether it was called, and has no way to be asked again.
        for name, cell in zip(find.__code__.co_freevars, find.__closure__ or (), strict=True):
            if name == "called":
                cell.cell_contents = False


def _forget_ourselves_unless_strict(shell: Any) -> None:
    """Let `import checks` make the shell strict, as in any kernel in which it has not been imported before."""
    from checks.run.strict import strictness_of

    if strictness_of(shell) is None:
        for name in [name for name in sys.modules if name == "checks" or name.startswith("checks.")]:
            del sys.modules[name]
