"""A control group for one run, where one may be made: nothing in it multiplies beyond its bound, and all of it ends at once.

Of version 2 what its parent hands down is used; where version 1 still counts processes (both may be mounted), that is used too.
Only the standard library and little of it, as in `checks.run.bounds`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "proofbook-"


class ControlGroup:
    """A control group of one run's own; where none may be made it does nothing.

    Attributes:
        folders: where it is, in each hierarchy.

    """

    def __init__(self, folders: tuple[str, ...] = ()) -> None:
        self.folders = folders

    @classmethod
    def make(cls, process: int, limits: Mapping[str, int]) -> ControlGroup:
        """Put a process, and whatever it will start, into a group of its own.

        Args:
            process: a child of this one, which has not begun its work.
            limits: values by the names of the group's files; without any no group is made.

        """
        folders = []
        for above in places() if limits else ():
            if not os.access(above, os.W_OK):
                continue
            _sweep(above)
            folder = f"{above}/{_NAME}{os.getpid()}"
            try:
                if not os.path.isdir(folder):  # noqa: PTH112 - pathlib loads too slowly
                    os.mkdir(folder)  # noqa: PTH102 - as above
                _write(folder, "cgroup.procs", process)
            except OSError:
                _remove(folder)
                continue
            folders.append(folder)
            for name, value in limits.items():
                _write_where_it_is(folder, name, value)
        return cls(tuple(folders))

    def refused(self, name: str, event: str) -> bool:
        """Whether the operating system has counted an event, such as ``max`` in ``pids.events``."""
        for folder in self.folders:
            try:
                with open(f"{folder}/{name}") as file:  # noqa: PTH123 - as above
                    counted = dict(line.split() for line in file)
            except (OSError, ValueError):
                continue
            if int(counted.get(event, 0)):
                return True
        return False

    def kill(self) -> None:
        """End everything in the group at the same moment."""
        for folder in self.folders:
            _write_where_it_is(folder, "cgroup.kill", 1)

    def remove(self) -> None:
        """Take the group away; what is in it has ended."""
        for folder in self.folders:
            _remove(folder)


def places() -> list[str]:
    """The folders of this process's own groups: of version 2, and of what counts processes in version 1."""
    if sys.platform != "linux":
        return []
    try:
        with open("/proc/self/cgroup") as file:  # noqa: PTH123 - as above
            inside = [line.strip().split(":", 2) for line in file]
        with open("/proc/self/mounts") as file:  # noqa: PTH123 - as above
            mounts = [line.split() for line in file]
    except OSError:
        return []
    found = []
    for _, controllers, path in inside:
        for _, folder, kind, options, *_ in mounts:
            second = kind == "cgroup2" and not controllers
            first = kind == "cgroup" and controllers == "pids" and "pids" in options.split(",")
            if first or second:
                found.append(f"{folder}{path}".rstrip("/"))
                break
    return found


def _sweep(above: str) -> None:
    """Take away the groups of wardens that were killed, and end what is left in them."""
    for name in os.listdir(above):  # noqa: PTH208 - as above
        pid = name.removeprefix(_NAME)
        if pid != name and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110 - as above
            _write_where_it_is(f"{above}/{name}", "cgroup.kill", 1)
            _remove(f"{above}/{name}")


def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)  # noqa: PTH106 - as above
    except OSError:
        return  # the next one sweeps


def _write(folder: str, name: str, value: int) -> None:
    with open(f"{folder}/{name}", "w") as file:  # noqa: PTH123 - as above
        file.write(str(value))


def _write_where_it_is(folder: str, name: str, value: int) -> None:
    # Which of them a group has is decided by the administrator; what it has not, the watch does.
    if os.path.exists(f"{folder}/{name}"):  # noqa: PTH110 - as above
        try:
            _write(folder, name, value)
        except OSError:
            return
