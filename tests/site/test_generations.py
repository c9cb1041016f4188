"""What readers get while publications come and go, and while publishers die."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest

from checks.catalogue import Catalogue
from checks.journal import Journal, open_journal
from checks.site.publish import current, publish
from tests.shared import built_project
from tests.site.history import record

pytestmark = pytest.mark.slow

PROOFBOOK = Path(sys.executable).with_name("proofbook")
MOMENT = datetime.fromisoformat("2024-11-12T10:42:10+00:00")
READS = 1000
PUBLICATIONS = 20
KILLS = 10


@dataclass(slots=True)
class Shop:
    """A project that is published again and again, each time with a value that tells which publication it was."""

    catalogue: Catalogue
    journal: Journal
    to: Path
    number: int = 0

    def measure(self) -> None:
        """Note a value, one more than the last."""
        self.number += 1
        at = MOMENT + timedelta(seconds=10 * self.number)
        record(self.catalogue, self.journal, at, {"latency": float(self.number)}, run_id=f"01RUN{self.number:04d}")

    def publish(self) -> int:
        """A publication that shows the last value."""
        now = MOMENT + timedelta(seconds=10 * self.number + 5)
        return publish(self.catalogue, self.journal, self.to, now).number


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with one publication."""
    root = tmp_path_factory.mktemp("generations") / "project"
    catalogue = built_project(root, tmp_path_factory)
    with open_journal(catalogue.settings.journal) as journal:
        opened = Shop(catalogue, journal, root / "public")
        opened.measure()
        opened.publish()
        yield opened


@pytest.fixture
def port(shop: Shop) -> Iterator[int]:
    """Where ``proofbook serve`` serves the shop."""
    command = [str(PROOFBOOK), "serve", "--port", "0", "--root", str(shop.catalogue.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        server.terminate()


@dataclass(slots=True)
class Reader:
    """Someone who reads pages with all that they load, one after the other, and notes what is wrong."""

    port: int
    seen: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Read until the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

        def get(address: str) -> bytes:
            connection.request("GET", address)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                self.wrong.append(f"{address}: {answer.status}")
            return content

        while not (self.ended.is_set() and len(self.seen) >= READS):
            page = get("/systems/shop/metrics/latency.html").decode()
            shown = {int(one) for one in re.findall(r">(\d+) ms<", page.partition("<h2")[0])}
            if len(shown) != 1 or not page.rstrip().endswith("</html>"):
                self.wrong.append(f"a page that shows {shown}")
                return
            for address in re.findall(r'(?:href|src)="([^"]*assets/proofbook/[^"]+)"', page):
                get(urljoin("/systems/shop/metrics/latency.html", address))
            status = json.loads(get("/status.json"))
            value = int(status["systems"]["shop"]["metrics"]["shop/latency"]["value"])
            if value < max(shown):
                self.wrong.append(f"status.json says {value} after a page has said {shown}")
            self.seen.append(shown.pop())


def test_a_reader_never_misses_and_never_mixes(shop: Shop, port: int) -> None:
    """A thousand readings of a page, its style and script and status.json during twenty publications: all there, none mixed."""
    reader = Reader(port)
    thread = threading.Thread(target=reader.read)
    thread.start()
    try:
        for _ in range(PUBLICATIONS):
            shop.measure()
            shop.publish()
    finally:
        reader.ended.set()
        thread.join()
    assert reader.wrong == []
    assert len(reader.seen) >= READS
    assert reader.seen == sorted(reader.seen)
    assert len(set(reader.seen)) > PUBLICATIONS / 2


def test_46_a_publisher_that_is_killed_leaves_the_site_whole(shop: Shop) -> None:
    """Killed at ten random moments of publishing, a publisher leaves one whole publication, and the next one is published."""
    shop.measure()
    begun = time.perf_counter()
    shop.publish()
    lasts = time.perf_counter() - begun
    killed = 0
    moments = random.Random(46)
    for _ in range(10 * KILLS):
        shop.measure()
        child = os.fork()
        if child == 0:
            try:
                shop.publish()
            finally:
                os._exit(0)
        moment = moments.uniform(0, lasts)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL:
            killed += 1
        else:
            lasts = moment  # it was done by then: the machine has become quicker than when it was timed
        _is_whole(shop)
        if killed == KILLS:
            break
    assert killed == KILLS
    shop.publish()
    site = _is_whole(shop)
    assert f">{shop.number} ms<" in (site / "systems/shop/metrics/latency.html").read_text()
    assert not [*shop.to.glob("publications/.building-*"), *shop.to.glob(".current-*")]


def _is_whole(shop: Shop) -> Path:
    site = current(shop.to)
    assert site is not None
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 8
    for page in pages:
        text = page.read_text()
        assert text.rstrip().endswith("</html>"), page
        for target in re.findall(r'(?:href|src)="([^"#:?]+)[#"?]', "" if page.name == "404.html" else text):
            assert (page.parent / target).exists(), f"{page} links to {target}"
    json.loads((site / "status.json").read_text())
    return site
