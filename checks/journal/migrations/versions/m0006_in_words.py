"""What is derived refers to nothing, and a latest result stands in words, so that both take less to write and to read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Word = sa.String(16)
_STATUSES = ("ok", "warning", "critical", "unknown")


def upgrade() -> None:
    """Make the tables anew, empty: whoever migrates then derives all of them, from every fact that is there."""
    for table in ("stretches", "series_days", "limit_changes", "status_changes", "latest"):
        op.drop_table(table)
    op.create_table(
        "latest",
        _key("series"),
        sa.Column("result", _Key, nullable=False),
        sa.Column("judged_at", sa.BigInteger, nullable=False),
        sa.Column("status", _Word, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        *(sa.Column(f"last_{status}", sa.BigInteger) for status in _STATUSES),
        sa.Column("warning", sa.Text),
        sa.Column("critical", sa.Text),
        sa.Column("runbook", sa.Text),
        sa.Column("told", sa.Text),
    )
    op.create_table(
        "status_changes",
        _key("series"),
        _moment("judged_at"),
        _key("result"),
        sa.Column("status", _Word, nullable=False),
        sa.Column("before", _Word),
        sqlite_with_rowid=False,
    )
    op.create_index("status_changes_by_time", "status_changes", ["judged_at", "result"])
    op.create_table(
        "limit_changes",
        _key("series"),
        _moment("judged_at"),
        _key("result"),
        sa.Column("warning", sa.Text),
        sa.Column("critical", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series_days",
        _key("series"),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(status, sa.BigInteger, nullable=False) for status in _STATUSES),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stretches",
        _key("series"),
        _moment("width"),
        _moment("start"),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("low", sa.Double, nullable=False),
        sa.Column("high", sa.Double, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _Key, primary_key=True, autoincrement=False)


def _moment(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)
