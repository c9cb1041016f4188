"""Each system's slug and where its stand-in is written."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.sandbox.kit import Service

# Imported only in the process that becomes the stand-in.
SYSTEMS: dict[str, str] = {
    "turbo-octo-robot": "checks.sandbox.turbo_octo_robot:TurboOctoRobot",
    "console-ext": "checks.sandbox.console_ext:ConsoleExt",
    "unified-workflow": "checks.sandbox.unified_workflow:UnifiedWorkflow",
    "wellbeing": "checks.sandbox.wellbeing:Wellbeing",
    "mase": "checks.sandbox.mase:Mase",
}


def find_class(system: str) -> type[Service]:
    """The class that stands in for a system.

    Raises:
        ImportError: its module is missing or cannot be imported.
        AttributeError: the module does not hold the class.

    """
    module, _, name = SYSTEMS[system].partition(":")
    found: type[Service] = getattr(importlib.import_module(module), name)
    return found
