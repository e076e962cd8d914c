"""What metrics are called and which way they are better, for people who see them in a table or beside an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.dashboard.words import unit_of
from runner.study import COMPUTED, Goal, goal_of, is_latency

if TYPE_CHECKING:
    from collections.abc import Mapping

_LABELS = {
    "eer": "equal error rate",
    "macs": "MACs",
    "bits_per_byte": "bits per byte",
    "model_bytes": "model size",
    "file_bytes": "file size",
    "peak_activation_bytes": "peak activation memory",
    "kv_cache_bytes": "KV cache",
}
_TEST = "test_"

# What families of Supernaut have beside the costs that every module has: which families.  A test compares.
FAMILY_COSTS: Mapping[str, tuple[str, ...]] = {"kv_cache_bytes": ("causal_lm",)}
LATENCIES: Mapping[str, tuple[str, ...]] = {
    "latency_ms": ("convnet", "tdnn", "text_encoder", "vision_transformer"),
    "prefill_latency_ms": ("causal_lm",),
    "decode_latency_ms": ("causal_lm",),
}


@dataclass(frozen=True, kw_only=True)
class MetricWords:
    """A metric: its name in the record, the words for it, its unit (empty: none that is known), its usual goal."""

    metric: str
    label: str
    unit: str
    goal: Goal


def words_of(metric: str) -> MetricWords:
    """The words for a metric."""
    return MetricWords(
        metric=metric, label=label_of(metric), unit=unit_of(metric), goal=goal_of(metric.removeprefix(_TEST))
    )


def label_of(metric: str) -> str:
    """A metric's name in words, without its unit."""
    if metric.startswith(_TEST):
        return f"test {label_of(metric.removeprefix(_TEST))}"
    if metric in _LABELS:
        return _LABELS[metric]
    unit = unit_of(metric)
    name = metric.removesuffix(f"_{unit}") if unit else metric
    return name.replace("_", " ").strip() or metric


def is_known(metric: str) -> bool:
    """Whether Supernaut itself gives this metric, so that which way it is better is known."""
    plain = metric.removeprefix(_TEST)
    return plain in _LABELS or is_latency(plain) or bool(unit_of(plain)) or plain == "perplexity"


def is_computed(metric: str) -> bool:
    """Whether a metric follows from an architecture's structure."""
    return metric in COMPUTED or metric in FAMILY_COSTS
