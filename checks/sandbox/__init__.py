"""Stand-ins of the systems: real small services on loopback that serve, log, store, back up, and break on command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks.sandbox.systems import SYSTEMS

if TYPE_CHECKING:
    from checks.sandbox.supervisor import break_ as break_
    from checks.sandbox.supervisor import down as down
    from checks.sandbox.supervisor import heal as heal
    from checks.sandbox.supervisor import status as status
    from checks.sandbox.supervisor import up as up
    from checks.sandbox.supervisor import variables as variables

__all__ = ["SYSTEMS", "break_", "down", "heal", "status", "up", "variables"]


def __getattr__(name: str) -> object:
    """Load the supervisor's side when it is first used, so that a stand-in's process does without it."""
    if name in __all__:
        from checks.sandbox import supervisor

        return getattr(supervisor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
