"""What is said of a bundle's scores and latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from predictors.latency.device import this_device
from runner import verify
from runner.settings import Home
from runner.verify import verify_latency

if TYPE_CHECKING:
    from pathlib import Path

HERE = this_device().fingerprint


class Benchmark:
    """A timer that always finds the same."""

    found_ms = 1.0

    def __init__(self, *_: Any) -> None:
        self.p50_ms = self.found_ms

    def __enter__(self) -> Benchmark:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def measure(self, _: Path) -> Benchmark:
        return self


def manifest(device: str = HERE, **settings: Any) -> dict[str, Any]:
    number = {"metric": "latency_ms", "value": 1.0, "lower": 0.9, "upper": 1.1, "provenance": "exported"}
    return {
        "numbers": [{**number, "format": "onnx-int8", "value": 9.0}, {**number, "device": device, "format": "onnx"}],
        "device": {"reference_ms": 1.0, "latency_settings": {"latency_ms": {"batch": 1, "threads": 1}}, **settings},
    }


@pytest.mark.parametrize(
    ("now_ms", "state", "words"),
    [(1.0, "ok", "promised 1.0000"), (1.14, "ok", ""), (1.17, "flagged", "SLOWER"), (0.8, "flagged", "faster")],
)
def test_a_latency_lies_inside_its_interval_or_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_ms: float, state: str, words: str
) -> None:
    home = Home(tmp_path)
    home.device(HERE).mkdir(parents=True)
    (home.device(HERE) / "reference.onnx").write_text("")
    monkeypatch.setattr(Benchmark, "found_ms", now_ms)
    monkeypatch.setattr(verify, "LatencyBenchmark", Benchmark)
    found = verify_latency(tmp_path, manifest(), home)
    assert found.state == state
    assert words in found.found
    old = verify_latency(tmp_path, manifest(latency_settings={"batch": 1, "threads": 1}), home)
    assert (old.state, "does not say under which settings" in old.found) == ("skipped", True)


def test_a_latency_of_elsewhere_is_not_compared(tmp_path: Path) -> None:
    assert "this is" in verify_latency(tmp_path, manifest("another"), Home(tmp_path)).found
    assert "is missing" in verify_latency(tmp_path, manifest(), Home(tmp_path)).found
    assert verify_latency(tmp_path, {"numbers": []}, Home(tmp_path)).state == "skipped"


def test_scores_may_differ_by_one_sample_or_by_rounding() -> None:
    def state(promised: float, now: float, tolerance: float = verify.EXACT, samples: int = 100) -> str:
        return verify._compared("quality", {"error": promised}, {"error": now}, tolerance, samples).state

    assert state(0.10, 0.11) == "ok"
    assert state(0.10, 0.12) == "failed"
    assert state(0.10, 0.103, samples=10_000) == "failed"
    assert state(0.10, 0.108, verify.ROUNDED, samples=10_000) == "ok"
    assert verify._compared("quality", {"perplexity": 50.0}, {"perplexity": 50.05}, verify.EXACT, 10_000).state == "ok"
    assert verify._compared("quality", {"error": 0.1}, {}, verify.EXACT, 10).state == "failed"
