"""Spaces that several benchmarks search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.study import load_study

DIGITS: dict[str, Any] = load_study(Path(__file__).parents[1] / "examples" / "digits.yaml").space.model_dump()

SMALL_TEXT: dict[str, Any] = {
    "name": "causal_lm",
    "choices": {
        "depth": [1, 2, 3, 4],
        "width": [32, 48, 64, 96],
        "mixer": ["short_convolution", "linear", "softmax"],
        "heads": [2, 4],
        "key_heads": 1,
        "value_heads": [1, 2],
        "span": "full",
        "mlp_ratio": [1, 2, 4],
    },
}
