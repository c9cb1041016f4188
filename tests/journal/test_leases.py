"""Leases in SQLite's file, and how a process is told to be gone."""

from __future__ import annotations

import os
import subprocess
import sys

from checks.journal import owner
from tests.journal.lease_contract import LeaseContract


class TestSqlite(LeaseContract):
    pass


def test_a_living_process_is_not_gone() -> None:
    """This process is not gone, and neither is one of another machine or of an earlier Proofbook, of which nothing is known."""
    assert not owner.gone(owner.me())
    assert not owner.gone("elsewhere:1 5 elsewhere/boot/pid")
    assert not owner.gone("host:123")
    assert owner.shown(owner.me()).endswith(f":{os.getpid()}")


def test_a_process_that_ended_is_gone_although_its_number_lives_on() -> None:
    """A process that ended is gone, also as long as nobody took leave of it, and when its number was given to another."""
    with subprocess.Popen(
        [sys.executable, "-c", "from checks.journal import owner; print(owner.me(), flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        name = process.stdout.readline().strip()
        assert not owner.gone(name)
        process.stdin.write("\n")
        process.stdin.close()
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner.gone(name)
    host, began, world = owner.me().split(" ")
    assert owner.gone(f"{host} {int(began) - 1} {world}")
