"""The journal is damaged, of another time, or written by several at once: it is told, and nothing is made up."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.journal import open_journal
from checks.model import Run
from checks.run.evidence import path_of, store
from tests.journal.samples import a_result, a_run, ended
from tests.threats.shop import FINE, Shop, files_below, open_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with one ok run in its journal."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(FINE)
    assert shop.call("run", "--all").code == 0
    return shop


def _journal(shop: Shop) -> Path:
    return shop.root / ".proofbook" / "journal.db"


def _runs(shop: Shop) -> list[Run]:
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        return journal.runs(limit=999)


@pytest.mark.parametrize("damage", ["cut", "zeros", "text"])
def test_30_a_damaged_journal_is_never_served_as_truth(shop: Shop, damage: str) -> None:
    """A file cut short, overwritten or replaced by text gives no green status, and no command ends as if all were well."""
    path = _journal(shop)
    data = path.read_bytes()
    path.write_bytes(
        {"cut": data[: len(data) // 2 - 100], "zeros": data[:100] + b"\0" * (len(data) - 100), "text": b"x" * 9000}[damage]
    )
    for arguments in (("status",), ("publish", "--no-run")):
        ended = shop.call(*arguments)
        assert ended.code in (65, 69, 73), (arguments, ended)
        assert "Traceback" not in ended.err
        assert "journal.db" in ended.err


def test_31_a_newer_journal_is_refused(shop: Shop) -> None:
    """A journal whose schema is of a later version is left as it is, with the remedy."""
    with closing(sqlite3.connect(_journal(shop))) as database:
        database.execute("update alembic_version set version_num = '9999'")
        database.commit()
    before = _journal(shop).read_bytes()
    for arguments in (("status",), ("run", "--all"), ("journal", "migrate")):
        ended = shop.call(*arguments)
        assert ended.code not in (0, 1, 2, 3, 70), ended
        assert "remedy:" in ended.err
    assert _journal(shop).read_bytes() == before


def test_33_several_writers_lose_nothing(shop: Shop) -> None:
    """Three commands that journal at the same moment all succeed, and every run is there with its result."""
    started = [shop.start("run", "shop/morning") for _ in range(3)]
    said = [process.communicate(timeout=100) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        runs = journal.runs()
        assert len(runs) == 4
        assert {run.status.value for run in runs} == {"ok"}
        assert [len(journal.results(run.id)) for run in runs] == [1] * 4


def test_30_and_34_what_was_changed_behind_the_journals_back_is_found(shop: Shop) -> None:
    """A value, an event and evidence that are not what was written are named, each in its place, and the command ends with 65."""
    fine = shop.call("journal", "verify")
    assert (fine.code, "all of it is what was written" in fine.err) == (0, True), fine
    number, head = fine.out.rpartition("events: ")[2].split(", the last one ")
    with closing(sqlite3.connect(_journal(shop))) as database:
        database.execute("update results set value = 0.04")
        database.execute("update events set actor = 'eve' where kind = 'run-ended'")
        (run, digest) = database.execute("select run_id, evidence from run_ends").fetchone()
        database.commit()
    path = path_of(shop.root / ".proofbook", digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"0.4", b"0.5", 1))
    found = shop.call("journal", "verify", "--holds", f"{number}:{head.strip()[:12]}")
    assert found.code == 65, found
    assert f"result 1 of shop/error-rate in run {run}" in found.out
    assert "now it says ok, 0.04 %" in found.out
    assert f"run-ended of {run}" in found.out
    assert f"its evidence {digest} has other bytes" in found.out


def test_32_a_run_whose_journal_goes_away_is_recorded_once(tmp_path: Path) -> None:
    """What a run found while its journal was away is kept in a file, and is in the journal once it is there again, once."""
    shop = open_shop(tmp_path / "site")
    there, away = tmp_path / "database", tmp_path / "away"
    shop.more["PROOFBOOK_JOURNAL"] = f"sqlite:///{there}/journal.db"
    go = f"\n```python\nfrom pathlib import Path\nPath({str(there)!r}).rename({str(away)!r})\n```\n"
    shop.project.write(FINE + go)
    told = shop.call("run", "--all")
    assert (told.code, "is kept in" in told.err) == (0, True), told
    (waiting,) = (shop.root / ".proofbook" / "spool").iterdir()
    away.rename(there)
    asked = [shop.start("status") for _ in range(2)]
    said = [process.communicate(timeout=100) for process in asked]
    assert [process.returncode for process in asked] == [3, 3], said  # flour was never measured
    assert not waiting.exists()
    with open_journal(shop.more["PROOFBOOK_JOURNAL"]) as journal:
        (run,) = journal.runs()
        assert (run.state.value, run.status.value) == ("finished", "ok")
        assert len(journal.results(run.id)) == 1
        assert [event.kind for event in journal.events()] == ["run-ended"]


def test_35_pruning_takes_what_is_old_and_nothing_that_counts(shop: Shop) -> None:
    """Without --delete nothing goes; with it old runs and their evidence do, and an open incident's system is left alone."""
    now = datetime.now(UTC)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        for days in (200, 150, 100):
            at = now - timedelta(days=days)
            digest = store(shop.root / ".proofbook", f"{{{days}}}".encode())
            begun = a_run(at, environment="test")
            journal.start_run(begun)
            journal.finish_run(ended(begun, evidence=digest), [a_result(at=at)])
    old = [
        path for path in files_below(shop.root / ".proofbook" / "evidence") if path.read_bytes() in (b"{200}", b"{150}", b"{100}")
    ]
    would = shop.call("journal", "prune", "--keep", "30d")
    assert (would.code, "2 runs" in would.out) == (0, True), would  # since the first one the metric has been ok
    assert len(_runs(shop)) == 4
    assert shop.call("incident", "open", "No bread", "--system", "shop", "--severity", "P2").code == 0
    (page,) = (shop.root / "docs" / "incidents").glob("*no-bread.md")
    page.write_text(re.sub("(?m)^opened: .*$", f"opened: {now - timedelta(days=100):%Y-%m-%dT%H:%M:%SZ}", page.read_text()))
    spared = shop.call("journal", "prune", "--keep", "30d")
    assert "kept for its open incident: shop" in spared.out, spared
    done = shop.call("journal", "prune", "--keep", "30d", "--delete")
    assert (done.code, "1 runs" in done.out) == (0, True), done
    assert len(_runs(shop)) == 3
    assert sorted(path.exists() for path in old) == [False, True, True]
    assert shop.call("journal", "verify").code == 0


def test_36_a_backup_under_load_is_the_same_facts(shop: Shop, tmp_path: Path) -> None:
    """A backup made while runs are being written verifies, and brings back every run that had ended by then, bit by bit."""
    before = _runs(shop)
    started = [shop.start("run", "shop/morning") for _ in range(2)]
    backups = [shop.call("journal", "backup", str(tmp_path / f"{number}.db")) for number in range(3)]
    assert [process.wait(100) for process in started] == [0, 0]
    assert [backup.code for backup in backups] == [0, 0, 0], backups
    shop.more["PROOFBOOK_JOURNAL"] = f"sqlite:///{tmp_path}/new/journal.db"
    restored = shop.call("journal", "restore", str(tmp_path / "2.db"))
    assert (restored.code, restored.out) == (0, backups[2].out), restored
    with open_journal(shop.more["PROOFBOOK_JOURNAL"]) as journal:
        assert journal.run(before[0].id) == before[0]
        assert {run.id for run in journal.runs()} <= {run.id for run in _runs(shop)}
    assert shop.call("journal", "verify").code == 0
    assert shop.call("journal", "restore", str(tmp_path / "2.db")).code == 77
