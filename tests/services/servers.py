"""Servers from Debian's packages on loopback, each in a folder of its own, ended with whoever started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.listening import unused_port


def absent(what: str) -> None:
    """Skip the test, or fail it where services are required."""
    if os.environ.get("PROOFBOOK_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is not installed, and PROOFBOOK_REQUIRE_SERVICES=1")
    pytest.skip(f"{what} is not installed")


class Server:
    """A program that listens on loopback, from its start until its end."""

    def __init__(self, argv: Sequence[str], folder: Path, port: int) -> None:
        program = shutil.which(argv[0], path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            absent(argv[0])
        self.argv = [str(program), *argv[1:]]
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        log = self.folder / "server.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(self.argv, stdout=out, stderr=out, cwd=self.folder)
        for _ in range(300):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"{self.argv[0]} did not start: {log.read_text(errors='replace')[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End it, also where it is halted, and wait for it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def nginx(folder: Path, *blocks: str) -> Server:
    """An nginx of these ``server`` blocks; it listens on the port of the first block's ``listen``."""
    port = int(blocks[0].partition("listen 127.0.0.1:")[2].split(maxsplit=1)[0].rstrip(";"))
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{ worker_connections 64; }}\n"
        f"http {{ access_log off; default_type text/plain; {temporary}\n{''.join(blocks)}\n}}\n"
    )
    return Server(["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], folder, port)


class Redis(Server):
    """A Redis server with these settings of redis.conf; it saves nothing by itself."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = unused_port()
        given = {"bind": "127.0.0.1", "port": str(port), "dir": str(folder), "save": "", "daemonize": "no", **settings}
        arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        super().__init__(["redis-server", *arguments], folder, port)

    def tell(self, *command: str, password: str | None = None) -> str:
        """Send a command and give the reply as text."""
        import redis

        with redis.Redis(port=self.port, password=password, decode_responses=True) as client:
            return str(client.execute_command(*command))  # type: ignore[no-untyped-call, unused-ignore]


class Prometheus(Server):
    """A Prometheus that scrapes itself each second, with some history from before its start.

    Args:
        history: lines of the OpenMetrics text format, each with its time.

    """

    def __init__(self, folder: Path, history: Sequence[str]) -> None:
        port = unused_port()
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
        super().__init__(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            folder,
            port,
        )
        (folder / "history").write_text("\n".join([*history, "# EOF", ""]))
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(folder / "data")],
            check=True,
            capture_output=True,
            timeout=60,
        )
