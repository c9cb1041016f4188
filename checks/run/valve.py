"""Keeps a kernel from saying more of one cell than anybody will keep: what is beyond the bound never leaves the kernel.

The engine has the same bound, for kernels without a valve; but there a flood would have come all the way first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

HELD_BACK = "application/vnd.proofbook.held-back+json"
"""The MIME type of the output by which a kernel says how much of a cell it has kept to itself so far."""

TAKEN_CHARACTERS = 4_000_000
"""More than this of one cell is not even taken in; see `checks.run.evidence` for what of it is kept."""

_LONGEST_ERROR = 100_000
_DISPLAYS = ("display_data", "execute_result", "update_display_data")


@dataclass(slots=True)
class _Cell:
    """What one request said: characters that passed, that were held back, and that the engine knows to be held back."""

    parent: dict[str, Any]
    taken: int = 0
    held: int = 0
    told: int = 0


class Valve:
    """Stands in a kernel's session, through which everything goes that it says.

    Args:
        session: the kernel's session.
        socket: the one on which outputs are published.

    """

    def __init__(self, session: Any, socket: Any) -> None:
        self._send = session.send
        self._socket = socket
        self._cells: dict[str, _Cell] = {}
        session.send = self.send

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **options: Any) -> Any:
        """Pass a message on, without what is too much."""
        kind, parent = msg_or_type, options.get("parent") or (args[0] if args else None)
        if isinstance(msg_or_type, dict):
            kind, content, parent = msg_or_type["msg_type"], msg_or_type["content"], msg_or_type.get("parent_header")
        if isinstance(content, dict):
            if kind == "stream" or kind in _DISPLAYS:
                if not self._pass(kind, content, parent or {}):
                    return None
            elif "traceback" in content:
                content["evalue"] = str(content.get("evalue", ""))[:_LONGEST_ERROR]
                content["traceback"] = [line[:_LONGEST_ERROR] for line in content["traceback"][-100:]]
        return self._send(stream, msg_or_type, content, *args, **options)

    def tell(self) -> None:
        """Say how much was kept back of each cell, where that is news."""
        for cell in list(self._cells.values()):
            self._tell(cell)

    def _tell(self, cell: _Cell) -> None:
        if cell.held > cell.told:
            cell.told = cell.held
            data = {HELD_BACK: {"characters": cell.held}}
            self._send(self._socket, "display_data", {"data": data, "metadata": {}, "transient": {}}, parent=cell.parent)

    def _pass(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> bool:
        from checks.run.payload import MIME

        data = content.get("data") or {}
        if HELD_BACK in data or MIME in data:
            return True
        cell = self._cells.setdefault(str((parent.get("header") or parent).get("msg_id", "")), _Cell(parent))
        size = len(content.get("text", "")) if kind == "stream" else size_of(data)
        room = TAKEN_CHARACTERS - cell.taken
        cell.taken += min(size, room)
        if size <= room:
            return True
        part = room if kind == "stream" else 0
        cell.held += size - part
        if part:
            content["text"] = content["text"][:part]
        # Told again whenever it has doubled, so that little is told, and little is missing when the kernel is killed.
        if cell.held >= 2 * cell.told:
            self._tell(cell)
        return part > 0


def size_of(data: dict[str, Any]) -> int:
    """How many characters the forms of one output have together."""
    return sum(len(value) if isinstance(value, str) else len(repr(value)) for value in data.values())


def stand_in(shell: Any) -> None:
    """Put a valve into a shell's kernel; a second time changes nothing."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None or getattr(kernel, "_proofbook_valve", None) is not None:
        return
    valve = Valve(kernel.session, kernel.iopub_socket)
    kernel._proofbook_valve = valve

    def after_cell(*_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        valve.tell()

    shell.events.register("post_run_cell", after_cell)
