"""Runs and slots are held by a lease; runs say what they were made with, and how much was blotted out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add leases; a run that never ended gets one that has expired, so that the next process gives it up as lost."""
    op.add_column("runs", sa.Column("made_with", sa.JSON))
    op.add_column("runs", sa.Column("basis", sa.JSON))
    op.add_column("run_ends", sa.Column("redacted", sa.Integer))
    op.add_column("slots", sa.Column("token", sa.Integer, nullable=False, server_default="1"))
    op.add_column("slots", sa.Column("expires_at", sa.BigInteger))
    op.create_table(
        "leases",
        sa.Column("run_id", sa.String(26), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("slot_due_at", sa.BigInteger),
    )
    op.execute(
        "INSERT INTO leases (run_id, owner, token, expires_at)"
        " SELECT id, host, 1, started_at FROM runs WHERE id NOT IN (SELECT run_id FROM run_ends)"
    )
