"""What importing the journal costs those who do not open one."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "checks.journal",
        "checks.journal.report",
        "checks.cli.status",
        "checks.cli.schedule",
        "checks.cli.journal",
        "checks.schedule",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    """SQLAlchemy, Alembic, rich tables and the catalogue's validation are loaded when they are used, not before."""
    code = f"import sys, {module}; print(*{{'sqlalchemy', 'alembic', 'pydantic', 'rich.table', 'cronsim'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
