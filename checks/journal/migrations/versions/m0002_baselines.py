"""Results keep the baseline that judged them, and how many samples their value rests on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what only some results have; of those written before, nobody knows."""
    op.add_column("results", sa.Column("samples", sa.BigInteger))
    op.add_column("results", sa.Column("baseline", sa.JSON))
