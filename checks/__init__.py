"""Proofbook: the document is the check.

This is what a runbook imports: ``check``, ``decide``, ``observe``, ``parameters``, ``settings`` and ``Status``. Each is loaded
when first used, so that importing the package costs next to nothing. Where it is imported in IPython, a failing shell command
raises from then on, in JupyterLab as under ``proofbook run``.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers know the name; importing typing for it would be most of the time this takes
if TYPE_CHECKING:
    from checks.catalogue import MissingSetting
    from checks.model import Status
    from checks.run.here import parameters, settings
    from checks.run.notebook import check, decide, observe

__all__ = ["MissingSetting", "Status", "check", "decide", "observe", "parameters", "settings"]

_HOMES = {
    "MissingSetting": "checks.catalogue",
    "Status": "checks.model",
    "check": "checks.run.notebook",
    "decide": "checks.run.notebook",
    "observe": "checks.run.notebook",
    "parameters": "checks.run.here",
    "settings": "checks.run.here",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _make_strict() -> None:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None:
        import os

        from checks.run import strict

        strict.load_ipython_extension(shell)
        if "PROOFBOOK_CONTEXT" not in os.environ:
            from checks.run.here import furnish

            furnish(os.environ)


_make_strict()
