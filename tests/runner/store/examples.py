"""Things to record, complete but for what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runner.store import (
    NewArtifact,
    NewEvaluation,
    NewMeasurement,
    NewReservation,
    TokenRecord,
    ValueRecord,
    WorkerRecord,
)


def an_evaluation(digest: str = "0123456789ab", **changes: Any) -> NewEvaluation:
    given = {
        "digest": digest,
        "architecture_json": '{"depth":3}',
        "fidelity": "inherited",
        "seed": 0,
        "origin": "search",
        "values": (
            ValueRecord(metric="error", value=0.125, provenance="inherited"),
            ValueRecord(metric="latency_ms", value=1.5, provenance="predicted", lower=1.0, upper=2.0),
            ValueRecord(metric="model_bytes", value=1e6, provenance="computed"),
        ),
    }
    return NewEvaluation(**{**given, **changes})


def a_reservation(digest: str = "0123456789ab", **changes: Any) -> NewReservation:
    given = {
        "digest": digest,
        "architecture_json": '{"depth":3}',
        "fidelity": "inherited",
        "seed": 0,
        "origin": "search",
    }
    return NewReservation(**{**given, **changes})


def a_measurement(digest: str = "0123456789ab", **changes: Any) -> NewMeasurement:
    given = {
        "digest": digest,
        "device_id": "laptop",
        "runtime": "onnxruntime 1.31.1",
        "metric": "latency_ms",
        "settings": {"batch": 1, "threads": 1, "dtype": "float32"},
        "p10": 0.9,
        "p50": 1.0,
        "p90": 1.25,
        "repeats": 100,
        "reference_p50": 2.0,
    }
    return NewMeasurement(**{**given, **changes})


def an_artifact(**changes: Any) -> NewArtifact:
    given = {"sha256": "0" * 64, "kind": "onnx", "bytes": 1234, "uri": "exports/model.onnx"}
    return NewArtifact(**{**given, **changes})


BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def a_worker(worker_id: str = "worker", **changes: Any) -> WorkerRecord:
    given = {
        "id": worker_id,
        "name": "first",
        "version": "0.1.0",
        "host": "laptop",
        "pid": 1234,
        "started_at": BEGUN,
        "seen_at": BEGUN,
    }
    return WorkerRecord(**{**given, **changes})


def a_token(token_id: str = "token", **changes: Any) -> TokenRecord:
    given = {
        "id": token_id,
        "owner": "local",
        "name": "laptop",
        "scopes": ("read", "submit"),
        "kind": "token",
        "secret_sha256": "0" * 64,
        "created_at": BEGUN,
    }
    return TokenRecord(**{**given, **changes})
