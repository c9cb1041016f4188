"""The command line: parses, calls, prints; decides nothing."""

from checks.cli._main import main

__all__ = ["main"]
