"""Numbers and architectures as text."""

from __future__ import annotations

import pytest

from search_spaces import Architecture
from supernet.export.card import Number, architecture_lines, architecture_summary, unit_of
from tests.supernet.export.conftest import MIXERS, architecture_of


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number(metric="error", value=0.03125, provenance="exported"), "0.0312 fraction"),
        (Number(metric="error", value=0.0, provenance="exported"), "0.0000 fraction"),
        (Number(metric="model_bytes", value=1_234_567, provenance="computed"), "1,234,567 bytes"),
        (Number(metric="model_bytes", value=808_232.0, provenance="computed"), "808,232 bytes"),
        (
            Number(metric="latency_ms", value=1.5, provenance="predicted", lower=1.25, upper=1.75),
            "1.5000 [1.2500, 1.7500] ms",
        ),
        (Number(metric="own", value=2.5, provenance="exported"), "2.5000"),
    ],
)
def test_a_number_has_its_unit_and_its_interval(number: Number, text: str) -> None:
    assert number.text == text


def test_the_architecture_is_drawn_layer_by_layer() -> None:
    lines = architecture_lines(architecture_of(MIXERS, width=32, patch=2))
    assert lines[0] == "depth 4, patch 2, width 32"
    assert [line.split()[:3] for line in lines[1:]] == [["layer", str(n), m] for n, m in enumerate(MIXERS)]
    assert lines[3].endswith("heads 2  mlp_ratio 1  window 2")


def test_layers_are_in_the_order_of_their_numbers() -> None:
    answers = {f"layers.{index}.taps": index for index in (10, 9, 2, 1)}
    assert architecture_lines(Architecture(answers)) == [f"layer {n}  taps {n}" for n in (1, 2, 9, 10)]
    assert architecture_lines(Architecture({"width": 8})) == ["width 8"]


STAGED = Architecture(
    {
        "patch": 4,
        "stages.0.depth": 2,
        "stages.0.width": 16,
        "stages.0.blocks.0.kernel": 5,
        "stages.0.blocks.0.attention": "se",
        "stages.0.blocks.1.kernel": 3,
        "stages.0.blocks.1.attention": "none",
        "stages.1.depth": 1,
        "stages.1.width": 48,
        "stages.1.blocks.0.kernel": 7,
        "stages.1.blocks.0.attention": "eca",
    }
)


def test_stages_are_drawn_with_their_blocks_below_them() -> None:
    assert architecture_lines(STAGED) == [
        "patch 4",
        "stage 0  depth 2  width 16",
        "  block 0  attention se  kernel 5",
        "  block 1  attention none  kernel 3",
        "stage 1  depth 1  width 48",
        "  block 0  attention eca  kernel 7",
    ]


def test_blocks_and_stages_are_in_the_order_of_their_numbers() -> None:
    answers = {f"stages.{stage}.blocks.{block}.kernel": 3 for stage in (10, 2) for block in (11, 9)}
    assert architecture_lines(Architecture(answers)) == [
        line for stage in (2, 10) for line in (f"stage {stage}", "  block 9  kernel 3", "  block 11  kernel 3")
    ]


def test_the_summary_is_what_holds_for_all_and_by_stage() -> None:
    assert architecture_summary(STAGED) == "patch 4, depth 2/1 and width 16/48 by stage"
    assert architecture_summary(architecture_of(MIXERS, width=32, patch=2)) == "depth 4, patch 2, width 32"
    assert architecture_summary(Architecture({"layers.0.mixer": "softmax"})) == ""
    many = Architecture({f"stages.{stage}.width": 8 * stage for stage in (11, 2, 9)})
    assert architecture_summary(many) == "width 16/72/88 by stage"


def test_every_unit_belongs_to_a_metric_in_words() -> None:
    assert [unit_of(name) for name in ("latency_ms", "decode_latency_ms", "kv_cache_bytes")] == ["ms", "ms", "bytes"]
    assert [unit_of(name) for name in ("macs", "eer", "perplexity")] == ["multiply-adds", "fraction", ""]
