"""Queries to a real PostgreSQL that sleep, compute, wait or write: each ends in time, on the server too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.services.conftest import new_database, postgresql
from tests.threats.shop import Shop, open_shop

__all__ = ["new_database", "postgresql"]
pytestmark = pytest.mark.service

_QUERIES = {
    "sleeps": "SELECT pg_sleep(60)::text",
    "computes": "SELECT count(*) FROM generate_series(1, 1000000000000)",
    "waits": "SELECT count(*) FROM locked",
    "deletes": "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone",
    "calls": "SELECT nextval('numbers')",
    "counts": "SELECT count(*) FROM orders",
}


def _shop(root: Path, url: str) -> Shop:
    shop = open_shop(root)
    metrics = "".join(
        f'  {name}:\n    title: {name}\n    probe: {{kind: sql, database: "{{database}}", timeout: 500ms, query: "{query}"}}\n'
        '    critical: "> 5"\n'
        for name, query in _QUERIES.items()
    )
    head = "system: shop\ntitle: Shop\nsummary: Keeps orders.\nenvironments:\n  test: {database: '${SHOP_DATABASE}'}\n"
    shop.project.describe(f"{head}metrics:\n{metrics}")
    shop.more["SHOP_DATABASE"] = url
    return shop


def _checked(shop: Shop, *names: str) -> dict[str, Any]:
    ended = shop.call("check", *names, "--format", "json")
    assert ended.out, ended.err
    return {result["metric"]: result for result in json.loads(ended.out)["results"]}


def test_22_no_query_outlasts_its_time_or_writes(new_database: Callable[[], str], tmp_path: Path) -> None:
    """What sleeps, computes, waits for a lock or writes is unknown, and afterwards nothing of it is left on the server."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE orders (id int)")
        other.execute("CREATE TABLE locked (id int)")
        other.execute("CREATE SEQUENCE numbers")
        other.execute("INSERT INTO orders VALUES (1), (2), (3)")
        shop = _shop(tmp_path / "site", url)
        with other.transaction():
            other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
            results = _checked(shop, "shop")
        reasons = {name: result["reason"] for name, result in results.items() if result["status"] == "unknown"}
        assert set(reasons) == set(_QUERIES) - {"counts"}
        assert all(reasons[name].endswith("did not end within 500 ms") for name in ("sleeps", "computes", "waits"))
        assert all(reasons[name].endswith("it may only read") for name in ("deletes", "calls"))
        assert results["counts"]["observation"]["value"] == 3
        assert other.execute("SELECT (SELECT count(*) FROM orders), (SELECT is_called FROM numbers)").fetchone() == (3, False)
        left = other.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'proofbook'").fetchone()
        assert left == (0,)
