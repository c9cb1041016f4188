"""What is left in SQLite's file when a writer is killed."""

from __future__ import annotations

from tests.journal.crash_contract import CrashContract


class TestSqlite(CrashContract):
    pass
