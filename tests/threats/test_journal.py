"""The journal is damaged, of another time, or written by several at once: it is told, and nothing is made up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from checks.journal import open_journal
from tests.threats.shop import FINE, Shop, open_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with one ok run in its journal."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(FINE)
    assert shop.call("run", "--all").code == 0
    return shop


def _journal(shop: Shop) -> Path:
    return shop.root / ".proofbook" / "journal.db"


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
