"""Reservations: which evaluations are under way, who makes them, and until when that is believed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reservation",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("fidelity", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("architecture_json", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_reservation_attempt")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_reservation_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "digest", "fidelity", "seed", name=op.f("pk_reservation")),
        sa.UniqueConstraint("study_id", "sequence", name=op.f("uq_reservation_study_id_sequence")),
    )
