"""A known answer: where attention belongs in associative recall, found by a study through the command line."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from search_spaces import load_space
from tests.integration.studies import ROOT, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Call

CONVOLUTION, ATTENTION = "short_convolution", "softmax"


@pytest.mark.slow
def test_convolution_before_attention_recalls_and_nothing_cheaper_does(call: Call, tmp_path: Path) -> None:
    """The documented example with four pairs in place of eight: all four placements share their weights."""
    spec = yaml.safe_load((ROOT / "examples" / "placement.yaml").read_text())
    spec["task"] |= {"length": 24, "pairs": 4, "vocabulary": 40, "train": 20_000}
    spec["train"] |= {"steps": 300, "batch": 32, "precision": "fp32"}
    spec["search"]["workers"] = "serial"
    spec["retrain"] |= {"steps": 5}
    code, _, errors = call("run", write(tmp_path / "placement.json", spec))
    assert code == 0, errors
    rows = {row["architecture"]: row for row in json.loads(call("front", "placement", "--all", "-o", "json")[1])}
    space = load_space("causal_lm", **spec["space"]["choices"])
    found = {}
    for placement in itertools.product((CONVOLUTION, ATTENTION), repeat=2):
        answers = dict(zip(("layers.0.mixer", "layers.1.mixer"), placement, strict=True))
        found[placement] = rows[space.fix(answers).largest().digest]
    accuracy = {placement: row["accuracy"] for placement, row in found.items()}
    best = found[CONVOLUTION, ATTENTION]
    assert best["on_front"], accuracy
    assert best["accuracy"] >= 0.99, accuracy
    assert best["macs"] < found[ATTENTION, ATTENTION]["macs"]
    assert best["kv_cache_bytes"] < found[ATTENTION, ATTENTION]["kv_cache_bytes"]
    assert accuracy[ATTENTION, CONVOLUTION] < 0.3, accuracy
    assert accuracy[CONVOLUTION, CONVOLUTION] < 0.3, accuracy
