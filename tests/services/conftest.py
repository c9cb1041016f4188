"""Real servers from Debian's packages, started for the tests and ended with them.

A server that is not installed skips its tests, visibly; with PROOFBOOK_REQUIRE_SERVICES=1 they fail instead.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.servers import absent

_POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
_USER = "postgres"  # the server refuses to be run by root
_NUMBERS = itertools.count(1)
_START_SECONDS = 60.0  # on a machine that is busy with other things


class Postgresql:
    """A PostgreSQL server of its own on a socket in a folder; nothing listens on the network, unless an option says so."""

    def __init__(self, folder: Path, *options: str, port: int = 5432) -> None:
        self.folder = folder
        self._port = str(port)
        self._options = [part for option in (f"port={port}", *options) for part in ("-c", option)]
        self._server: subprocess.Popen[bytes] | None = None
        self._command("initdb", "--pgdata", str(folder / "data"), "--auth=trust", "--username=postgres", "--no-sync")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            data, socket = str(self.folder / "data"), str(self.folder)
            argv = self._as_user("postgres", "-D", data, "-k", socket, "-c", "listen_addresses=", "-c", "fsync=off")
            argv += self._options
            self._server = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/")
        # After it was stopped at once, it first does again what was done since its last checkpoint.
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._command("pg_isready", "-q", "-h", str(self.folder), "-p", self._port, "-t", "1", check=False) == 0:
                return
            time.sleep(0.02)
        pytest.fail(f"PostgreSQL did not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End the server at once, as a machine that goes down does, and wait for it."""
        self._command("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", "immediate", check=False)
        if self._server is not None:
            self._server.wait(30)

    def new_database(self) -> str:
        """Make an empty database; gives its URL."""
        name = f"journal_{next(_NUMBERS)}"
        self._command("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _command(self, *argv: str, check: bool = True) -> int:
        done = subprocess.run(self._as_user(*argv), capture_output=True, text=True, cwd="/", timeout=60, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"{argv[0]} failed: {done.stderr}")
        return done.returncode

    @staticmethod
    def _as_user(program: str, *arguments: str) -> list[str]:
        argv = [str(_POSTGRESQL / program), *arguments]
        return ["runuser", "-u", _USER, "--", *argv] if os.geteuid() == 0 else argv


@contextmanager
def postgresql_folder() -> Iterator[Path]:
    """A folder for a server, that of the server's user."""
    if not (_POSTGRESQL / "postgres").exists():
        absent(f"PostgreSQL 15 ({_POSTGRESQL})")
    # Not below pytest's own folder: that is closed to the server's user. And short, as a socket's path must be.
    folder = Path(tempfile.mkdtemp(prefix="proofbook-pg-"))
    try:
        give_to_postgresql(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give_to_postgresql(path: Path) -> None:
    """Make a file or folder that of the server's user, where we are another."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(_USER)
        os.chown(path, account.pw_uid, account.pw_gid)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    with postgresql_folder() as folder:
        server = Postgresql(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def new_database(postgresql: Postgresql) -> Callable[[], str]:
    return postgresql.new_database
