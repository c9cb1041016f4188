"""Real processes that ask for one slot at the same moment."""

from __future__ import annotations

import subprocess
import sys

_CLAIM = """
import sys
from datetime import UTC, datetime
from checks.journal import open_journal
url, owner = sys.argv[1:]
import checks.journal.store, alembic.command
print("ready", flush=True)
sys.stdin.readline()
due = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
with open_journal(url) as journal:
    print("won" if journal.claim_slot("shop/morning", "sandbox", due, due, owner) else "lost")
"""


def race(url: str, many: int) -> int:
    """Let processes open a journal and claim one slot at once; how many were told that it is theirs."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIM, url, f"racer-{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(many)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert set(answers) <= {"won", "lost"}, answers
    return answers.count("won")
