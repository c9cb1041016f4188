"""Where kernels come from: forked from a server that has loaded everything, or started anew; a warden stands before each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import CannotWrite
from checks.run import _stale, bounds, context
from checks.run.origin import ORIGIN_VARIABLE as ORIGIN_VARIABLE
from checks.run.origin import Origin as Origin
from checks.run.origin import origin as origin
from checks.run.origin import passed_on as passed_on

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

    from checks.catalogue import Settled
    from checks.run.context import Context

_LONGEST_SOCKET_PATH = 100
_END_SECONDS = 10
_RECONNECT_MILLISECONDS = 4
# Counts every runbook, whatever it imports.
_ANY = "any"
_sweepers: list[ThreadPoolExecutor] = []
_wanted: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Room:
    """A private folder that one kernel lives in; it goes with the kernel.

    Attributes:
        folder: everything below it may be read by this user only.
        variables: the kernel's whole environment.

    """

    folder: Path
    variables: Mapping[str, str]

    @property
    def work(self) -> Path:
        """The kernel's working directory, empty when it begins."""
        return self.folder / "work"

    @property
    def broken_bound(self) -> str:
        """Why the warden ended the kernel; empty where it did not."""
        try:
            return (self.folder / bounds.TOLD).read_text(encoding="utf-8")
        except OSError:
            return ""


@contextmanager
def room(
    told: Context, settled: Settled, variables: Mapping[str, str], limits: Mapping[str, int] | None = None
) -> Iterator[Room]:
    """Lay out a private folder and environment for one run's kernel.

    Args:
        told: what the kernel is told of its run.
        settled: the settings of the run's environment.
        variables: what ``${NAME}`` in system.yml is filled from; only what the environment's settings name is passed on.
        limits: what the kernel and all it starts may use; see `checks.run.bounds`, whose defaults they replace.

    Raises:
        CannotWrite: no temporary folder can be made.

    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="proofbook-"))
        held = _stale.hold(folder)
        for name in ("home", "ipython", "jupyter", "tmp", "work"):
            (folder / name).mkdir(mode=0o700)
        context.write(told, folder / "context.json")
    except OSError as error:
        raise CannotWrite(
            f"no folder for a kernel: {error.strerror}",
            where=tempfile.gettempdir(),
            remedy="make room there, or name another folder by TMPDIR",
        ) from error
    try:
        surroundings = _environment(folder, told, settled, variables)
        yield Room(folder, surroundings | {bounds.VARIABLE: bounds.to_text({**bounds.defaults(), **(limits or {})})})
    finally:
        # What a run was told goes at once, in any case.
        (folder / "context.json").unlink(missing_ok=True)
        if _sweepers:
            _sweepers[-1].submit(shutil.rmtree, folder, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def swept_behind() -> Iterator[None]:
    """Let rooms be taken away behind the runs that end meanwhile; all are gone when this is left, and stale ones, too.

    A disk may take its time over folders, and no other run needs to wait for that.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sweep") as sweeper:
        _sweepers.append(sweeper)
        try:
            yield
        finally:
            _sweepers.remove(sweeper)
            sweeper.submit(_stale.sweep)


def manager(home: Room) -> AsyncKernelManager:
    """A kernel manager, not started, for a kernel of this very Python behind a warden: forked, or started anew.

    No kernel specification and no configuration of the user's is looked up; the sockets lie in the private folder.
    """
    from uuid import uuid4

    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning.local_provisioner import LocalProvisioner

    from checks.run._prepared import OPTIONS
    from checks.run.provisioner import WARDEN, ForkProvisioner

    argv = [sys.executable, "-I", "-S", str(WARDEN), str(os.getpid())]
    argv += [sys.executable, "-I", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += OPTIONS
    made = AsyncKernelManager(kernel_name="", connection_file=str(home.folder / "k.json"), context=_sockets())
    made._kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python")
    if len(str(home.folder)) < _LONGEST_SOCKET_PATH:
        made.transport = "ipc"
    # Given here, because looking it up by name reads what every installed distribution has to offer.
    provisioner = LocalProvisioner if origin() is Origin.STOCK else ForkProvisioner
    made.provisioner = provisioner(kernel_id=str(uuid4()), kernel_spec=made._kernel_spec, parent=made)
    return made


def warm_up(sources: Iterable[str], kinds: Iterable[str] = ()) -> None:
    """Let the first kernel's loading begin now, while this process loads what it needs itself.

    Args:
        sources: the runbooks that will be executed, as far as they are known; what they import is loaded once for all of them,
            and where there are several, it is also used once, and a kernel stands by.
        kinds: how the metrics that they check are measured, each as often as a runbook needs it.

    """
    if origin() is not Origin.FORK:
        return
    from checks.run import zygote

    # Using a library beforehand pays when a second kernel needs it; in a process that stays, that may be a later run's.
    _wanted.update(name for text in sources for name in {_ANY, *zygote.heavy_imports([text])})
    _wanted.update(kinds)
    again = {name for name, count in _wanted.items() if count > 1}
    zygote.warm_up(passed_on(), _wanted, again)
    if _ANY in again:
        zygote.stand_by(passed_on(), 1, at_least=True)


def stand_by(count: int) -> None:
    """Let so many kernels be forked before anybody asks for them, as long as this process lives; 0 for none.

    For a process that stays: a kernel that stands by is ready at once, and costs a few MB. Where kernels are not forked,
    nothing happens.

    """
    if origin() is Origin.FORK:
        from checks.run import zygote

        zygote.stand_by(passed_on(), count)


def end(started: Any) -> int | None:
    """End a kernel and everything that it started, at once.

    Args:
        started: a manager that `manager` gave; one that was never started, or has ended, is left as it is.

    Returns:
        The kernel's exit status where it had ended by itself; ``None`` where it had not been started.

    """
    process: subprocess.Popen[bytes] | None = getattr(getattr(started, "provisioner", None), "process", None)
    if process is None:
        return None
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        # Something hangs inside the operating system; the warden goes on trying when its parent is gone.
        return None


def _environment(folder: Path, told: Context, settled: Settled, variables: Mapping[str, str]) -> dict[str, str]:
    """What the kernel sees: little of the caller's environment, and the system's variables, settings and parameters."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **context.surroundings(told.system, settled, variables, told.parameters),
        **passed_on(),
        "PATH": programs,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
        "PROOFBOOK_ENVIRONMENT": told.environment,
        "PROOFBOOK_RUN": told.run,
        context.VARIABLE: str(folder / "context.json"),
    }


@cache
def _sockets() -> Any:
    """The origin of every socket to a kernel: one thread for all, and impatient, because a kernel binds within moments."""
    import zmq
    from zmq.asyncio import Context

    context = Context()
    context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MILLISECONDS)
    return context
