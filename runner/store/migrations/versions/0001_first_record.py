"""The first record: study, stage, evaluation, value, measurement, device, artifact, event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    row_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "device",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("reference_ms", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reference_ms BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_device_reference_ms_finite"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_table(
        "study",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("spec_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('created', 'running', 'interrupted', 'failed', 'complete')",
            name=op.f("ck_study_state"),
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_study_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", name=op.f("uq_study_name")),
    )
    op.create_table(
        "stage",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'running', 'complete', 'failed')", name=op.f("ck_stage_state")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_stage_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "name", name=op.f("pk_stage")),
        sa.UniqueConstraint("study_id", "position", name=op.f("uq_stage_study_id_position")),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", row_number, nullable=False),
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("architecture_json", sa.Text(), nullable=False),
        sa.Column("fidelity", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failure_kind", sa.Text(), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'failed') = (failure_kind IS NOT NULL)", name=op.f("ck_evaluation_failure")),
        sa.CheckConstraint("state IN ('complete', 'failed')", name=op.f("ck_evaluation_state")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_evaluation_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
        sa.UniqueConstraint(
            "study_id", "digest", "fidelity", "seed", name=op.f("uq_evaluation_study_id_digest_fidelity_seed")
        ),
        sa.UniqueConstraint("study_id", "sequence", name=op.f("uq_evaluation_study_id_sequence")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "value",
        sa.Column("id", row_number, nullable=False),
        sa.Column("evaluation_id", row_number, nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("lower", sa.Double(), nullable=True),
        sa.Column("upper", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "provenance IN ('computed', 'predicted', 'inherited', 'retrained', 'exported')",
            name=op.f("ck_value_provenance"),
        ),
        sa.CheckConstraint(
            "lower BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_value_lower_finite"),
        ),
        sa.CheckConstraint(
            "upper BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_value_upper_finite"),
        ),
        sa.CheckConstraint(
            "value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_value_value_finite"),
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_value_device_id")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluation.id"], name=op.f("fk_value_evaluation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_value")),
        sa.UniqueConstraint(
            "evaluation_id",
            "metric",
            "provenance",
            "device_id",
            name=op.f("uq_value_evaluation_id_metric_provenance_device_id"),
        ),
    )
    op.create_table(
        "measurement",
        sa.Column("id", row_number, nullable=False),
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("p10", sa.Double(), nullable=False),
        sa.Column("p50", sa.Double(), nullable=False),
        sa.Column("p90", sa.Double(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("reference_p50", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("0 <= p10 AND p10 <= p50 AND p50 <= p90", name=op.f("ck_measurement_percentiles")),
        sa.CheckConstraint(
            "p90 BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
            name=op.f("ck_measurement_p90_finite"),
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_measurement_device_id")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_measurement_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement")),
        sa.UniqueConstraint(
            "study_id", "digest", "device_id", "runtime", "metric", "settings", name="uq_measurement_key"
        ),
    )
    op.create_table(
        "artifact",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_artifact_bytes")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_artifact_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
        sa.UniqueConstraint("study_id", "kind", "sha256", "uri", name=op.f("uq_artifact_study_id_kind_sha256_uri")),
    )
    op.create_table(
        "event",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_event_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "sequence", name=op.f("pk_event")),
    )
    op.create_index(
        "uq_value_without_device",
        "value",
        ["evaluation_id", "metric", "provenance"],
        unique=True,
        sqlite_where=sa.text("device_id IS NULL"),
        postgresql_where=sa.text("device_id IS NULL"),
    )
