"""What is derived from the facts has tables of its own; a result may be judged between runs; schedulers sign that they live."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Word = sa.String(16)
_STATUSES = ("ok", "warning", "critical", "unknown")


def upgrade() -> None:
    """Make the tables empty: whoever migrates then derives all of them anew, from every fact that is there."""
    op.drop_index("results_by_status", "results")
    with op.batch_alter_table("results") as results:
        results.alter_column("run_id", existing_type=sa.String(26), nullable=True)
    held = sa.text("expires_at IS NOT NULL")
    op.create_index("slots_held", "slots", ["expires_at"], sqlite_where=held, postgresql_where=held)
    op.add_column("observations", sa.Column("status", _Word))
    op.create_table(
        "latest",
        _series(),
        sa.Column("result", _Key, sa.ForeignKey("results.id"), nullable=False),
        sa.Column("judged_at", sa.BigInteger, nullable=False),
        sa.Column("status", _Word, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        *(sa.Column(f"last_{status}", sa.BigInteger) for status in _STATUSES),
    )
    op.create_table(
        "status_changes",
        _series(),
        _moment("judged_at"),
        sa.Column("result", _Key, sa.ForeignKey("results.id"), primary_key=True, autoincrement=False),
        sa.Column("status", _Word, nullable=False),
        sa.Column("before", _Word),
        sqlite_with_rowid=False,
    )
    op.create_index("status_changes_by_time", "status_changes", ["judged_at", "result"])
    op.create_table(
        "limit_changes",
        _series(),
        _moment("judged_at"),
        sa.Column("result", _Key, sa.ForeignKey("results.id"), primary_key=True, autoincrement=False),
        sa.Column("warning", sa.Text),
        sa.Column("critical", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series_days",
        _series(),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(status, sa.BigInteger, nullable=False) for status in _STATUSES),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unfinished_days",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stretches",
        _series(),
        sa.Column("width", sa.BigInteger, primary_key=True, autoincrement=False),
        _moment("start"),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("low", sa.Double, nullable=False),
        sa.Column("high", sa.Double, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signs",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )


def _series() -> sa.Column[int]:
    return sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False)


def _moment(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)
