"""The vision transformer's space: names, order, activity, options."""

from __future__ import annotations

import random

import pytest

from search_spaces import Architecture, Categorical, Ordinal, SpaceError, load_space


def test_names_and_kinds() -> None:
    space = load_space("vision_transformer", depth=(1, 2))
    layer = ("mixer", "heads", "window", "mlp_ratio", "bits")
    assert space.names == (
        "depth", "width", "patch", *(f"layers.{i}.{name}" for i in (0, 1) for name in layer),
    )  # fmt: skip
    assert space.choices["layers.1.mixer"] == Categorical("identity", "convolution", "windowed", "softmax")
    assert space.choices["layers.1.heads"] == Ordinal(1, 2, 4)
    assert space.choices["layers.1.bits"] == Categorical(8, 32)
    assert space.choices["depth"] == Ordinal(1, 2)


def test_size_in_closed_form() -> None:
    # Identity and convolution have no heads; windowed has 3 heads x 1 window; softmax 3 heads; each 3 ratios
    # and 2 numbers of bits.
    layer = (1 + 1 + 3 * 1 + 3) * 3 * 2
    assert load_space("vision_transformer").size() == 3 * 2 * (layer**2 + layer**3 + layer**4)


def test_heads_and_windows_are_active_where_they_mean_something() -> None:
    space = load_space("vision_transformer")
    rng = random.Random(0)
    for _ in range(200):
        architecture = space.sample(rng)
        depth = architecture["depth"]
        assert isinstance(depth, int)
        for layer in range(4):
            mixer = architecture.get(f"layers.{layer}.mixer")
            assert (mixer is not None) == (layer < depth)
            assert (f"layers.{layer}.heads" in architecture) == (mixer in ("windowed", "softmax"))
            assert (f"layers.{layer}.window" in architecture) == (mixer == "windowed")
            assert (f"layers.{layer}.mlp_ratio" in architecture) == (layer < depth)


def test_smallest_and_largest() -> None:
    space = load_space("vision_transformer", depth=(1, 2))
    assert space.smallest() == Architecture(
        {
            "depth": 1,
            "width": 32,
            "patch": 4,
            "layers.0.mixer": "identity",
            "layers.0.mlp_ratio": 1,
            "layers.0.bits": 8,
        }
    )
    layer = {"mixer": "softmax", "heads": 4, "mlp_ratio": 4, "bits": 32}
    expected = {f"layers.{i}.{name}": value for i in (0, 1) for name, value in layer.items()}
    assert space.largest() == Architecture({"depth": 2, "width": 64, "patch": 2, **expected})


def test_a_space_without_attention_has_no_heads() -> None:
    space = load_space("vision_transformer", depth=2, mixer=("convolution", "identity"))
    assert not [name for name in space.names if name.endswith(("heads", "window"))]
    assert space.choices["layers.0.mixer"].values == ("identity", "convolution")
    only_softmax = load_space("vision_transformer", depth=2, mixer="softmax")
    assert not [name for name in only_softmax.names if name.endswith("window")]
    assert "layers.1.heads" in only_softmax.smallest()


def test_full_precision_alone_is_no_choice() -> None:
    assert not [name for name in load_space("vision_transformer", bits=32).names if name.endswith("bits")]
    quantized = load_space("vision_transformer", bits=[32, 4])
    assert quantized.choices["layers.0.bits"] == Categorical(4, 32)
    assert "layers.0.bits" in load_space("vision_transformer", bits=8).smallest()


def test_options_may_widen_the_defaults() -> None:
    space = load_space("vision_transformer", depth=[6, 5], width=256, window=[7, 4])
    assert space.choices["depth"].values == (5, 6)
    assert space.choices["layers.5.window"].values == (4, 7)


def test_layers_need_not_be_offered_one_by_one() -> None:
    space = load_space("vision_transformer", depth=(2, 5))
    assert len([name for name in space.sample(random.Random(0)) if name.endswith("mixer")]) in (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": "4"}, r"vision_transformer: option 'depth' takes whole numbers .* got '4' of type str"),
        ({"depth": 0}, "got 0"),
        ({"depth": 513}, "at most 512"),
        ({"mixer": ["softmx"]}, "did you mean 'softmax'"),
        ({"heads": [1.0]}, "option 'heads'"),
        ({"window": 0}, "option 'window'"),
        ({"bits": [8, 16]}, "option 'bits' takes some of 4, 8, 32, got 16"),
        ({"bits": "8"}, "option 'bits' takes some of 4, 8, 32, got '8'"),
        ({"bits": True}, "option 'bits'"),
        ({"bits": [8, 8]}, "lists 8 twice"),
    ],
)
def test_wrong_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("vision_transformer", **options)
