"""The causal language model's space: names, activity, what is left out, options."""

from __future__ import annotations

import random

import pytest

from search_spaces import Categorical, Ordinal, SearchSpace, SpaceError, load_space

LAYER = (
    "mixer", "heads", "key_heads", "value_heads", "span", "local_span", "mlp_ratio", "feed_forward", "bits",
)  # fmt: skip


def test_names_and_kinds() -> None:
    space = load_space("causal_lm", depth=(1, 2))
    above = ("depth", "width", "head_width", "norm", "positions")
    assert space.names == (*above, *(f"layers.{i}.{name}" for i in (0, 1) for name in LAYER))
    assert space.choices["layers.1.mixer"] == Categorical("identity", "short_convolution", "linear", "softmax")
    assert space.choices["layers.1.key_heads"] == Ordinal(1, 2, 4)
    assert space.choices["layers.1.span"] == Categorical(32, "full")
    assert space.choices["layers.1.local_span"] == Categorical(32, "same")
    assert space.choices["layers.1.bits"] == Categorical(4, 32)


def test_size_in_closed_form() -> None:
    # One head has one K and one V head and 2 spans; two heads have 2 x 2 and, of 2 spans and 2 local ones, 3 pairs;
    # four heads have 3 x 3 and those 3 pairs.  Linear attention has 3 numbers of heads.
    softmax = 1 * 2 + 4 * 3 + 9 * 3
    layer = (1 + 1 + 3 + softmax) * (3 * 2) * 2
    assert load_space("causal_lm").size() == 3 * (layer**2 + layer**3 + layer**4)


def test_every_architecture_keeps_the_rules_within_a_layer() -> None:
    space = load_space(
        "causal_lm",
        heads=(1, 2, 3, 6),
        key_heads=(1, 2, 3),
        span=(8, 16, "full"),
        local_span=(4, 8, "same"),
        mlp_ratio=(0, 2),
    )
    rng = random.Random(0)
    seen = set()
    for _ in range(300):
        architecture = space.sample_balanced(rng)
        for layer in range(int(architecture["depth"])):
            answers = {name: architecture.get(f"layers.{layer}.{name}") for name in LAYER}
            mixer, heads, ratio = answers["mixer"], answers["heads"], answers["mlp_ratio"]
            assert (heads is not None) == (mixer in ("linear", "softmax"))
            assert all(
                (answers[name] is not None) == (mixer == "softmax") for name in ("key_heads", "value_heads", "span")
            )
            assert (answers["local_span"] is not None) == (mixer == "softmax" and heads != 1)
            assert (answers["feed_forward"] is not None) == (ratio != 0)
            assert (mixer, ratio) != ("identity", 0)
            if mixer == "softmax":
                assert heads % answers["key_heads"] == 0
                assert heads % answers["value_heads"] == 0
                far, near = answers["span"], answers["local_span"]
                assert near in (None, "same") or far == "full" or near < far
                seen.add((heads, answers["key_heads"], answers["value_heads"], far, near))
    assert len(seen) > 60


def test_smallest_and_largest() -> None:
    space = load_space("causal_lm", depth=1)
    smallest, largest = space.smallest(), space.largest()
    assert {"layers.0.mixer": "identity", "layers.0.mlp_ratio": 1, "layers.0.feed_forward": "plain"}.items() <= (
        smallest.items()
    )
    widest = {"heads": 4, "key_heads": 4, "value_heads": 4, "span": "full", "local_span": "same"}
    assert {f"layers.0.{name}": value for name, value in widest.items()}.items() <= largest.items()


def test_what_is_not_to_be_chosen_is_left_out() -> None:
    def layer_choices(**options: object) -> set[str]:
        names = load_space("causal_lm", depth=1, **options).names
        return {name.removeprefix("layers.0.") for name in names if name.startswith("layers.0.")}

    assert layer_choices(mixer=["identity", "short_convolution"], bits=32) == {"mixer", "mlp_ratio", "feed_forward"}
    assert layer_choices(mixer="linear", mlp_ratio=0) == {"mixer", "heads", "mlp_ratio", "bits"}
    assert set(LAYER) - layer_choices(span="full", local_span="same", bits=32) == {"span", "local_span", "bits"}
    assert "local_span" not in layer_choices(heads=1)


def test_a_study_of_placement_has_one_free_choice_a_layer() -> None:
    space = load_space(
        "causal_lm",
        depth=2, width=64, mixer=["short_convolution", "softmax"], heads=1, head_width=64,
        span="full", local_span="same", mlp_ratio=2, feed_forward="plain", bits=32,
    )  # fmt: skip
    assert space.size() == 4
    assert space.largest()["layers.1.key_heads"] == 1


def test_default_numbers_of_k_heads_that_divide_nothing_are_left_out() -> None:
    space = load_space("causal_lm", heads=[3, 6], value_heads=[3, 4])
    assert space.choices["layers.0.key_heads"].values == (1, 2)
    assert space.choices["layers.0.value_heads"].values == (3,)


def test_spans_come_in_any_order_and_the_word_is_last() -> None:
    space: SearchSpace = load_space("causal_lm", span=["full", 64, 16], local_span=["same", 4])
    assert space.choices["layers.0.span"].values == (16, 64, "full")
    assert space.choices["layers.0.local_span"].values == (4, "same")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_heads": 3}, r"none of the values of option 'key_heads' \(3\) divides 1 query heads; add a divisor"),
        ({"heads": [4, 6], "value_heads": 4}, "option 'value_heads' .* divides 6 query heads"),
        ({"span": 1}, "option 'span' takes whole numbers of at least 2 and 'full', got 1"),
        ({"span": "all"}, "option 'span' takes whole numbers of at least 2 and 'full', got 'all'"),
        ({"span": True}, "option 'span'"),
        ({"span": "same"}, "option 'span'"),
        ({"local_span": "full"}, "option 'local_span' takes whole numbers of at least 2 and 'same', got 'full'"),
        ({"local_span": [8, 8]}, "lists 8 twice"),
        ({"mlp_ratio": -1}, "option 'mlp_ratio' takes whole numbers of at least 0"),
        ({"feed_forward": "swiglu"}, "option 'feed_forward'"),
        ({"mixer": "softmx"}, "did you mean 'softmax'"),
        ({"bits": 8}, "option 'bits' takes some of 4, 32"),
        ({"heads": 0}, "option 'heads'"),
    ],
)
def test_wrong_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("causal_lm", **options)


def test_options_that_contradict_each_other_leave_no_architecture() -> None:
    with pytest.raises(SpaceError):
        load_space("causal_lm", mixer="softmax", heads=2, span=8, local_span=8)
    with pytest.raises(SpaceError):
        load_space("causal_lm", mixer="identity", mlp_ratio=0)
