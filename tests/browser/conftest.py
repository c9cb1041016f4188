from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from checks.catalogue import load
from checks.journal import open_journal
from checks.respond import archive
from checks.site import tables
from checks.site.history import RUNS_ON_A_PAGE
from checks.site.publish import publish
from checks.site.server import server
from tests.shared import built_project, shared
from tests.site.history import drawn, morning_cells, png, record
from tests.site.people import told, with_people

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REQUIREMENTS = """\
system: shop
rows:
  shop.morning: {kind: task, proof: measured, asks: The shop is looked at before it opens.}
  shop.errors: {kind: threshold, proof: measured, asks: Errors are rare.}
  shop.roof: {kind: task, proof: measured, asks: The roof is dry., gap: Nobody can reach it.}
"""
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it the tests skip, or fail where PROOFBOOK_REQUIRE_SERVICES=1 asks for it.

    It goes with its module: while it lives, an event loop runs in this thread, and no other test here could start one.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("PROOFBOOK_REQUIRE_SERVICES") == "1":
            pytest.fail("chromium is not installed; install Debian's package chromium")
        pytest.skip("chromium is not installed (apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield launched
        launched.close()


def _published(factory: pytest.TempPathFactory, name: str, values: dict[str, float | str], said: str = "") -> Path:
    root, now = factory.mktemp(name), datetime.now(UTC)
    loaded = built_project(root, factory)
    with open_journal(loaded.settings.journal) as journal:
        for hours in (30, 20, 10):
            earlier = now - timedelta(hours=hours)
            record(
                loaded,
                journal,
                earlier,
                {"error-rate": 0.2 * hours, "latency": 90.0 + hours, "backup-age": 4.0},
                run_id=f"01A{hours}",
            )
        record(loaded, journal, now - timedelta(minutes=2), values, run_id="01B", cells=morning_cells(said=said))
        return publish(loaded, journal, root / "public", now).index.parent


@pytest.fixture(scope="session")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published site on which something is critical, something unknown, and hostile text was observed."""
    hostile = "<script>document.title='taken'</script>\x1b[31m{{ 7*7 }}\u202e"
    values: dict[str, float | str] = {"error-rate": 12.4, "latency": f"no answer: {hostile}", "backup-age": 4.0}
    return _published(tmp_path_factory, "troubled", values, said=hostile)


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published site with a page of every type: something is critical, hostile text was observed, an incident is open."""
    return (shared(tmp_path_factory, "everything", _publish_everything) / "public" / "current").resolve()


def _publish_everything(root: Path) -> None:
    now = datetime.now(UTC)
    with_people(root)
    (root / "docs/systems/shop/requirements.yml").write_text(REQUIREMENTS, encoding="utf-8")
    loaded = load(root)
    loaded.settings.state.mkdir()
    hostile = "<script>document.title='taken'</script>\x1b[31m{{ 7*7 }}\u202e"
    with open_journal(loaded.settings.journal) as journal:
        for days in (0.4, 1, 8, 40):
            values: dict[str, float | str] = {"error-rate": 0.2 + days, "latency": 90.0 + days, "backup-age": 4.0}
            record(loaded, journal, now - timedelta(days=days), values, run_id=f"01A{days}")
        values = {"error-rate": 12.4, "latency": f"no answer: {hostile}", "backup-age": 4.0}
        cells = morning_cells(said=hostile)
        cells[2]["outputs"].append(drawn(png(640, 240), alt="Errors by hour"))
        record(loaded, journal, now - timedelta(minutes=2), values, run_id="01B", cells=cells)
        for number in range(RUNS_ON_A_PAGE):
            record(loaded, journal, now - timedelta(days=50, hours=number), {}, run_id=f"01C{number}", runbook="shop/clear-cache")
        told(loaded, journal, now)
        archive.freeze(loaded, journal, "staging", now)
        with mock.patch.object(tables, "IN_A_TABLE", 2):
            publish(loaded, journal, root / "public", now)


@pytest.fixture(scope="session")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published site on which everything is well and speaks for an hour."""
    return _published(tmp_path_factory, "well", {"error-rate": 0.4, "latency": 120.0, "backup-age": 4.0})


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a site on loopback; gives its address."""
    running = []

    def serve(site: Path) -> str:
        serving = server(site)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        running.append(serving)
        return f"http://127.0.0.1:{serving.server_address[1]}/"

    yield serve
    for serving in running:
        serving.shutdown()
        serving.server_close()
