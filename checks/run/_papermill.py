"""What is used of papermill: its client and its engines, without what it loads for notebooks that lie elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


@contextmanager
def _put_off(*names: str) -> Iterator[None]:
    """Let modules that are imported meanwhile be loaded when something of them is first used; afterwards all is as ever."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: _standing_in(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            if getattr(sys.modules[name], "stands_in", False):
                del sys.modules[name]


def _standing_in(name: str) -> ModuleType:
    def get(attribute: str) -> object:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in = ModuleType(name)
    vars(stand_in).update(__getattr__=get, stands_in=True)
    return stand_in


# For notebooks at an address, and for a command that shows a notebook's parameters: half of the time that papermill takes.
with _put_off("requests", "click"):
    from papermill.clientwrap import PapermillNotebookClient as PapermillNotebookClient
    from papermill.engines import NBClientEngine as NBClientEngine
    from papermill.engines import NotebookExecutionManager as NotebookExecutionManager
    from papermill.engines import papermill_engines as papermill_engines
