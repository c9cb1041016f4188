"""Events are chained, results and observations sealed, older ones as they stand; the latest results stand in one table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make room for seals, and seal what is there: nobody knows whether it is still what was written, but from now on they do."""
    op.add_column("events", sa.Column("digest", sa.String(64), nullable=False, server_default=sa.text("''")))
    op.create_index("events_by_kind", "events", ["kind", "id"])
    op.add_column("results", sa.Column("seal", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "heads",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "seals",
        sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.drop_table("latest")
    op.create_table(
        "latest",
        sa.Column("series", _Key, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
        sa.Column("result", _Key, sa.ForeignKey("results.id"), nullable=False),
        sa.Column("judged_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        *(sa.Column(f"last_{status}", sa.BigInteger) for status in ("ok", "warning", "critical", "unknown")),
        sa.Column("run_id", sa.String(26)),
        sa.Column("runbook", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("measured_at", sa.BigInteger),
        sa.Column("value", sa.Double),
        sa.Column("unit", sa.Text),
        sa.Column("took", sa.Double),
        sa.Column("source", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("warning", sa.Text),
        sa.Column("critical", sa.Text),
        sa.Column("cell", sa.Integer),
        sa.Column("step", sa.Integer),
        sa.Column("samples", sa.BigInteger),
        sa.Column("baseline", sa.Text),
    )
    from checks.journal._seal_older import seal_older

    seal_older(op.get_bind())
