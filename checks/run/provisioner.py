"""A kernel provisioner that forks kernels of this Python from a server that has loaded everything already.

A kernel specification asks for it by ``metadata.kernel_provisioner.provisioner_name: proofbook-fork``; papermill, nbclient
and JupyterLab then use it unchanged. Whatever it cannot fork, it starts as jupyter_client itself would, and says so once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool, List, Unicode

from checks.run import zygote
from checks.run.origin import ORIGIN_VARIABLE, Origin

WARDEN = Path(__file__).with_name("_warden.py")

_LAUNCHERS = ("ipykernel_launcher", "ipykernel")
# Where these are set, a server that ignores them would load other modules than the kernel that was asked for.
_ELSEWHERE = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE")
_OURS_TO_DECIDE = ("stdin", "stdout", "stderr", "preexec_fn", "pass_fds")
_said: set[str] = set()


class ForkProvisioner(LocalProvisioner):
    """Forks a kernel where that can be done, and starts it otherwise."""

    preload = List(Unicode(), help="Libraries to load before forking: numpy, pandas, matplotlib.").tag(config=True)
    debugger = Bool(False, help="Whether a debugger may be attached; loading it is most of a kernel's start.").tag(config=True)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork what the command would start, or start it."""
        env = kwargs.get("env")
        surroundings: Mapping[str, str] = os.environ if env is None else env
        try:
            if os.environ.get(ORIGIN_VARIABLE) == Origin.STOCK.value:
                raise zygote.CannotFork(f"{ORIGIN_VARIABLE} says so")
            arguments = _arguments(cmd, surroundings, kwargs)
            zygote.ask_for(self.preload)
            cwd = str(kwargs.get("cwd") or "")
            forked = await asyncio.to_thread(zygote.start, arguments, cwd, surroundings, debugger=self.debugger)
        except zygote.CannotFork as why:
            _say_once(str(why))
            return await super().launch_kernel(cmd, **kwargs)
        self.process = forked  # type: ignore[assignment]  # it has the manners of one
        self.pid, self.pgid = forked.pid, None
        self.cwd = kwargs.get("cwd", Path.cwd())
        return self.connection_info


def _arguments(cmd: Sequence[str], env: Mapping[str, str], options: Mapping[str, Any]) -> list[str]:
    """The arguments of the kernel's launcher in a command that starts one by this Python.

    Raises:
        CannotFork: the command starts something else, or starts it in a way that a fork cannot be.

    """
    at = next((place for place, word in enumerate(cmd) if word in _LAUNCHERS and cmd[place - 1] == "-m"), None)
    if at is None:
        raise zygote.CannotFork("the kernel is not one of IPython's")
    python = at - 2
    while python > 0 and cmd[python].startswith("-"):
        python -= 1
    if Path(cmd[python]).absolute() != Path(sys.executable).absolute():
        raise zygote.CannotFork(f"the kernel is one of {cmd[python]}, not of {sys.executable}")
    # Our own warden is the only program that may stand in front: a forked kernel has one as well.
    if python > 0 and str(WARDEN) not in cmd[:python]:
        raise zygote.CannotFork(f"the kernel is started by {cmd[0]}")
    if "-I" not in cmd[python:at] and any(env.get(name) for name in _ELSEWHERE):
        raise zygote.CannotFork("PYTHONPATH, PYTHONHOME or PYTHONUSERBASE is set for the kernel")
    if any(options.get(name) is not None for name in _OURS_TO_DECIDE):
        raise zygote.CannotFork("the kernel's streams are redirected")
    return list(cmd[at + 1 :])


def _say_once(why: str) -> None:
    if why not in _said:
        _said.add(why)
        print(f"kernels are started, not forked, which takes longer: {why}", file=sys.stderr)
