"""The name of a process by which another one on the same machine can tell that it is gone, and any reader who it was."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def me() -> str:
    """This process: ``host:pid``, when it began, and the boot and the namespace in which these numbers mean anything."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid} {_began(pid) or '-'} {_world()}"


def shown(owner: str) -> str:
    """The part of an owner's name that means something to a reader."""
    return owner.partition(" ")[0]


def gone(owner: str) -> bool:
    """Whether a process is known to be gone; of one on another machine, or before this boot, nothing is known."""
    name, _, rest = owner.partition(" ")
    began, _, world = rest.partition(" ")
    pid = name.rpartition(":")[2]
    if not world or world != _world() or not pid.isdigit():
        return False
    # A number is used again; when it began tells two processes apart.
    return _began(int(pid)) != began


def _began(pid: int) -> str | None:
    """The clock tick at which a process began; ``None`` where there is none, or nothing of it but its exit status."""
    try:
        # A program's name may hold spaces and brackets; what follows the last bracket is in fixed places.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


@cache
def _world() -> str:
    """The machine's boot and this process's namespace of process numbers; empty where neither can be told (not Linux)."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{(_PROC / 'self/ns/pid').readlink().name}"
    except OSError:
        return ""
