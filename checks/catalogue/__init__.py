"""Reads and validates what a project declares: its systems, their metrics and limits, and its runbooks."""

from checks.catalogue._load import Catalogue, load
from checks.catalogue.environment import MissingSetting, Settled, resolve
from checks.catalogue.settings import Settings, find_root, read_settings

__all__ = ["Catalogue", "MissingSetting", "Settings", "Settled", "find_root", "load", "read_settings", "resolve"]
