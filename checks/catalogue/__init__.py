"""Reads and validates what a project declares: its systems, their metrics and limits, and its runbooks.

Its parts load when they are first used: a kernel fills settings and never reads a file of the catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue as Catalogue
    from checks.catalogue._load import load as load
    from checks.catalogue._load import read_runbook as read_runbook
    from checks.catalogue.environment import MissingSetting as MissingSetting
    from checks.catalogue.environment import Settled as Settled
    from checks.catalogue.environment import resolve as resolve
    from checks.catalogue.settings import Settings as Settings
    from checks.catalogue.settings import find_root as find_root
    from checks.catalogue.settings import read_settings as read_settings

__all__ = ["Catalogue", "MissingSetting", "Settings", "Settled", "find_root", "load", "read_runbook", "read_settings", "resolve"]

_HOMES = {
    "Catalogue": "_load",
    "load": "_load",
    "read_runbook": "_load",
    "MissingSetting": "environment",
    "Settled": "environment",
    "resolve": "environment",
    "Settings": "settings",
    "find_root": "settings",
    "read_settings": "settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
