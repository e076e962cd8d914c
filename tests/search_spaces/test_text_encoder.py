"""The text encoder's space: names, order, activity, options, and a fixed total of heads."""

from __future__ import annotations

import random
import time

import pytest

from search_spaces import Architecture, Categorical, InfeasibleSpace, Ordinal, SpaceError, load_space


def test_names_and_kinds() -> None:
    space = load_space("text_encoder", depth=(1, 2))
    layer = ("mixer", "heads", "window", "mlp_ratio", "bits")
    assert space.names == (
        "depth", "width", "pooling", *(f"layers.{i}.{name}" for i in (0, 1) for name in layer),
    )  # fmt: skip
    assert space.choices["layers.1.mixer"] == Categorical("identity", "convolution", "sliding", "softmax")
    assert space.choices["layers.0.window"] == Ordinal(4, 16)


def test_size_in_closed_form() -> None:
    # Identity and convolution have no heads; sliding has 3 heads x 2 windows; softmax 3 heads; each 3 ratios, 2 bits.
    layer = (1 + 1 + 3 * 2 + 3) * 3 * 2
    assert load_space("text_encoder").size() == 3 * (layer**2 + layer**3 + layer**4)


def test_smallest_and_largest() -> None:
    space = load_space("text_encoder", depth=(1, 2), pooling=("mean", "first"))
    network = {"depth": 1, "width": 32, "pooling": "first"}
    layer = {"layers.0.mixer": "identity", "layers.0.mlp_ratio": 1, "layers.0.bits": 8}
    assert space.smallest() == Architecture({**network, **layer})
    largest = {"mixer": "softmax", "heads": 4, "mlp_ratio": 4, "bits": 32}
    expected = {f"layers.{i}.{name}": value for i in (0, 1) for name, value in largest.items()}
    assert space.largest() == Architecture({"depth": 2, "width": 64, "pooling": "mean", **expected})


def test_choices_that_mean_nothing_are_not_offered() -> None:
    no_attention = load_space("text_encoder", mixer=("convolution", "identity"))
    assert not [name for name in no_attention.names if name.endswith(("heads", "window"))]
    assert not [name for name in load_space("text_encoder", mixer="softmax").names if name.endswith("window")]
    assert not [name for name in load_space("text_encoder", bits=32).names if name.endswith("bits")]


class TestTotalHeads:
    def test_every_architecture_holds_the_total(self) -> None:
        space = load_space("text_encoder", total_heads=(12, 16), depth=(1, 2, 3, 4, 5, 6))
        rng = random.Random(0)
        seen = set()
        for _ in range(300):
            answers = space.sample_balanced(rng)
            assert int(answers["total_heads"]) % int(answers["depth"]) == 0
            seen.add((answers["total_heads"], answers["depth"]))
            mixers = [value for name, value in answers.items() if name.endswith("mixer")]
            assert len(mixers) == answers["depth"]
            assert set(mixers) <= {"sliding", "softmax"}
            assert not [name for name in answers if name.endswith(".heads")]
        assert seen == {(12, d) for d in (1, 2, 3, 4, 6)} | {(16, d) for d in (1, 2, 4)}

    def test_size_in_closed_form(self) -> None:
        layer = (2 + 1) * 3 * 2  # sliding with 2 windows, softmax; 3 ratios, 2 bits
        space = load_space("text_encoder", total_heads=12, depth=(2, 4, 5))
        assert space.size() == 3 * (layer**2 + layer**4)

    def test_counting_drawing_and_the_ends_are_fast_at_any_depth(self) -> None:
        started = time.process_time()
        space = load_space("text_encoder", total_heads=(48, 96), depth=tuple(range(1, 49)))
        rng = random.Random(1)
        assert space.size() > 10**60
        for _ in range(20):
            space.sample(rng)
        assert (space.smallest()["depth"], space.largest()["depth"]) == (1, 48)
        assert space.largest()["total_heads"] == 96
        assert time.process_time() - started < 2  # 0.05 s where this was written

    def test_the_depth_can_change_alone(self) -> None:
        space = load_space("text_encoder", total_heads=12, depth=(2, 3, 4, 5, 6))
        architecture = space.fix({"depth": 4}).smallest()
        assert {3, 6} <= {near["depth"] for near in space.neighbours(architecture)}

    def test_without_it_there_is_no_such_choice(self) -> None:
        assert "total_heads" not in load_space("text_encoder", total_heads=0).names

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"total_heads": (0, 12)}, r"'total_heads' lists 0, 12; 0 leaves the heads .* stands alone"),
            ({"total_heads": 12, "heads": (2, 3)}, r"'heads' is \[2, 3\] and 'total_heads' 12; .* give one of the two"),
            ({"total_heads": 12, "mixer": ("identity", "softmax")}, r"every layer attends; .* got \['identity', 'soft"),
            ({"total_heads": 12, "mixer": "convolution"}, r"some of sliding, softmax with it, got \['convolution'\]"),
        ],
    )
    def test_what_cannot_hold_a_total_is_refused(self, options: dict, message: str) -> None:
        with pytest.raises(SpaceError, match=f"text_encoder: .*{message}"):
            load_space("text_encoder", **options)

    def test_a_total_that_no_depth_divides_is_refused(self) -> None:
        with pytest.raises(InfeasibleSpace, match="the depth divides the total number of heads"):
            load_space("text_encoder", total_heads=7, depth=(2, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixer": ["softmx"]}, "did you mean 'softmax'"),
        ({"pooling": "max"}, "option 'pooling'"),
        ({"window": 0}, "option 'window'"),
        ({"total_heads": -1}, "at least 0, got -1"),
        ({"bits": [8, 16]}, "option 'bits' takes some of 4, 8, 32, got 16"),
    ],
)
def test_wrong_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("text_encoder", **options)
