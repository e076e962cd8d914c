"""What a service needs: owners, wishes and leases of studies, jobs, workers, tokens, one order of all events.

Values know their study and which of them counts, so that pages sorted by a metric need not look at all of them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Of the values of one metric the first in this order counts, of equals the one that was recorded first.
_PRECEDENCE = "CASE {}provenance WHEN 'exported' THEN 0 WHEN 'retrained' THEN 1 WHEN 'inherited' THEN 2 "
_PRECEDENCE += "WHEN 'computed' THEN 3 ELSE 4 END"


def upgrade() -> None:
    """Make the tables and columns, and fill them from what is there."""
    _studies()
    _values()
    _events()
    for column in ("state", "fidelity", "origin", "created_at"):
        op.create_index(
            op.f(f"ix_evaluation_study_id_{column}_sequence"), "evaluation", ["study_id", column, "sequence"]
        )
    _new_tables()


def _studies() -> None:
    with op.batch_alter_table("study", recreate="auto") as batch:
        batch.drop_constraint(op.f("uq_study_name"), type_="unique")
        batch.add_column(sa.Column("owner", sa.Text(), server_default="local", nullable=False))
        batch.add_column(sa.Column("desired_state", sa.Text(), nullable=True))
        batch.add_column(sa.Column("lease_owner", sa.Text(), nullable=True))
        batch.add_column(sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("lease_attempt", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("notes", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("tags", sa.Text(), server_default="[]", nullable=False))
        batch.add_column(sa.Column("revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
        batch.create_unique_constraint(op.f("uq_study_owner_name"), ["owner", "name"])
        batch.create_check_constraint(op.f("ck_study_desired_state"), "desired_state IN ('running', 'stopped')")
        batch.create_check_constraint(op.f("ck_study_lease"), "(lease_owner IS NULL) = (lease_until IS NULL)")
    op.create_index(op.f("ix_study_desired_state_state"), "study", ["desired_state", "state"])
    for column in ("name", "created_at", "updated_at"):
        op.create_index(op.f(f"ix_study_{column}_id"), "study", [column, "id"])


def _values() -> None:
    with op.batch_alter_table("value") as batch:
        batch.add_column(sa.Column("study_id", sa.Text(), nullable=True))
        batch.add_column(sa.Column("best", sa.Boolean(), nullable=True))
    op.execute(
        "UPDATE value SET study_id = (SELECT e.study_id FROM evaluation AS e WHERE e.id = value.evaluation_id), "
        "best = NOT EXISTS (SELECT 1 FROM value AS other WHERE other.evaluation_id = value.evaluation_id "
        f"AND other.metric = value.metric AND ({_PRECEDENCE.format('other.')} < {_PRECEDENCE.format('value.')} "
        f"OR {_PRECEDENCE.format('other.')} = {_PRECEDENCE.format('value.')} AND other.id < value.id))"
    )
    with op.batch_alter_table("value") as batch:
        batch.alter_column("study_id", existing_type=sa.Text(), nullable=False)
        batch.alter_column("best", existing_type=sa.Boolean(), nullable=False)
        batch.create_foreign_key(op.f("fk_value_study_id"), "study", ["study_id"], ["id"], ondelete="CASCADE")
    for name, columns, unique in (
        ("uq_value_best", ["evaluation_id", "metric"], True),
        ("ix_value_page", ["study_id", "metric", "value", "evaluation_id", "provenance"], False),
    ):
        op.create_index(
            name,
            "value",
            columns,
            unique=unique,
            sqlite_where=sa.text("best = 1"),
            postgresql_where=sa.text("best"),
        )


def _events() -> None:
    with op.batch_alter_table("event") as batch:
        batch.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE event SET number = (SELECT numbered.number FROM (SELECT study_id, sequence, row_number() OVER "
        "(ORDER BY time, study_id, sequence) AS number FROM event) AS numbered "
        "WHERE numbered.study_id = event.study_id AND numbered.sequence = event.sequence)"
    )
    with op.batch_alter_table("event") as batch:
        batch.alter_column("number", existing_type=sa.BigInteger(), nullable=False)
        batch.create_unique_constraint(op.f("uq_event_number"), ["number"])
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.execute("INSERT INTO counter (name, value) SELECT 'event', count(*) FROM event")


def _new_tables() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_job_lease")),
        sa.CheckConstraint("kind IN ('retrain', 'export')", name=op.f("ck_job_kind")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'complete', 'failed', 'cancelled')", name=op.f("ck_job_state")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_job_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_study_id_created_at"), "job", ["study_id", "created_at"])
    op.create_index(op.f("ix_job_state_created_at"), "job", ["state", "created_at"])
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("study_id", sa.Text(), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_worker_study_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('token', 'session', 'link')", name=op.f("ck_token_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    op.create_index(op.f("ix_token_owner_created_at"), "token", ["owner", "created_at"])
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"])
