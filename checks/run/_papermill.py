"""What is used of papermill: its client and its engines, without what it loads for notebooks that lie elsewhere."""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec


def _put_off(name: str) -> None:
    """Let a module be loaded when something of it is first used, not when it is imported."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None and spec.loader is not None:
        spec.loader = LazyLoader(spec.loader)
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


# For notebooks at an address, and for a command that shows a notebook's parameters: half of the time that papermill takes.
_put_off("requests")
_put_off("click")

from papermill.clientwrap import PapermillNotebookClient as PapermillNotebookClient  # noqa: E402 - after what is put off
from papermill.engines import NBClientEngine as NBClientEngine  # noqa: E402 - as above
from papermill.engines import NotebookExecutionManager as NotebookExecutionManager  # noqa: E402 - as above
from papermill.engines import papermill_engines as papermill_engines  # noqa: E402 - as above
