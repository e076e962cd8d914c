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


def test_the_default_space_is_that_of_earlier_studies() -> None:
    assert load_space("vision_transformer").digest == "60ae7ed3a963"
    assert load_space("vision_transformer", depth=[2, 3, 4, 6], bits=[4, 8, 32]).digest == "61a8d30e5b8e"
    defaults = {"stages": 1, "pooling": "mean", "block": "transformer", "growth": 3}
    assert load_space("vision_transformer", **defaults).digest == "60ae7ed3a963"


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


ALL_BLOCKS = ("transformer", "convolution", "moat")


class TestStages:
    def test_names_and_kinds(self) -> None:
        space = load_space("vision_transformer", stages=2, depth=(1, 2), mixer="softmax", bits=32, block=ALL_BLOCKS)
        by_layer = ("mixer", "heads", "mlp_ratio")
        stage = ("width", "depth", "block", *(f"layers.{i}.{name}" for i in (0, 1) for name in by_layer))
        assert space.names == ("patch", "stages", *(f"stages.{s}.{name}" for s in (0, 1) for name in stage))
        assert space.choices["stages"] == Ordinal(2)
        assert space.choices["stages.0.width"] == Ordinal(32, 48, 64)
        assert space.choices["stages.1.width"] == Ordinal(64, 96, 128)
        assert space.choices["stages.1.block"] == Categorical(*ALL_BLOCKS)

    def test_size_in_closed_form(self) -> None:
        space = load_space(
            "vision_transformer", stages=(1, 3), depth=(1, 2), mixer=("identity", "softmax"), bits=(8, 32),
            block=ALL_BLOCKS,
        )  # fmt: skip
        convolution, softmax = 3 * 2, 3 * 3 * 2  # ratios and bits; and three numbers of heads
        transformer = convolution + softmax
        stage = 3 * sum(layer + layer**2 for layer in (transformer, convolution, softmax))
        assert space.size() == 2 * (stage + stage**3)

    def test_what_a_stage_has_is_active_where_the_stage_exists(self) -> None:
        space = load_space("vision_transformer", stages=(1, 2, 3), block=ALL_BLOCKS)
        for seed in range(100):
            architecture = space.sample_balanced(random.Random(seed))
            for stage in range(3):
                present = stage < int(architecture["stages"])
                for name in ("width", "depth", "block", "layers.0.mlp_ratio"):
                    assert (f"stages.{stage}.{name}" in architecture) == present
                mixes = architecture.get(f"stages.{stage}.block") in ("transformer", "moat")
                assert (f"stages.{stage}.layers.0.mixer" in architecture) == mixes

    def test_no_stage_is_narrower_than_the_one_before(self) -> None:
        space = load_space("vision_transformer", stages=(2, 3), growth=(1, 2), width=(16, 32))
        assert space.choices["stages.2.width"] == Ordinal(16, 32, 64, 128)
        seen = set()
        for seed in range(200):
            architecture = space.sample_balanced(random.Random(seed))
            widths = [int(architecture[f"stages.{s}.width"]) for s in range(int(architecture["stages"]))]
            assert widths == sorted(widths)
            seen.add(tuple(widths))
        assert {(16, 16), (16, 32, 64), (32, 64, 128)} <= seen

    def test_smallest_and_largest(self) -> None:
        space = load_space("vision_transformer", stages=(2, 3), pooling=("mean", "token"), block=ALL_BLOCKS, depth=1)
        smallest, largest = space.smallest(), space.largest()
        assert (smallest["stages"], smallest["pooling"], smallest["stages.1.layers.0.mixer"]) == (2, "mean", "identity")
        assert (largest["stages"], largest["pooling"], largest["stages.2.block"]) == (3, "token", "moat")


class TestBlocksAndPooling:
    def test_a_flat_space_has_them_without_a_prefix(self) -> None:
        space = load_space("vision_transformer", depth=1, pooling=("token", "mean"), block=("moat", "transformer"))
        assert space.names[:5] == ("depth", "width", "patch", "pooling", "block")
        assert space.choices["pooling"] == Categorical("mean", "token")
        assert space.choices["block"] == Categorical("transformer", "moat")

    def test_a_moat_layer_has_attention(self) -> None:
        space = load_space("vision_transformer", stages=2, block=("transformer", "moat"))
        drawn = [space.fix({"stages.1.block": "moat"}).sample(random.Random(seed)) for seed in range(50)]
        mixers = {a[name] for a in drawn for name in a if name.startswith("stages.1.") and name.endswith(".mixer")}
        assert mixers == {"windowed", "softmax"}

    def test_a_stage_of_convolutions_has_no_mixer_to_choose(self) -> None:
        space = load_space("vision_transformer", stages=2, block="convolution", depth=1, bits=32)
        assert [name for name in space.names if "layers.0" in name] == [
            "stages.0.layers.0.mlp_ratio",
            "stages.1.layers.0.mlp_ratio",
        ]
        assert space.smallest()["stages.0.block"] == "convolution"

    @pytest.mark.parametrize("options", [{}, {"stages": 3}, {"stages": (1, 2), "block": ALL_BLOCKS}])
    def test_a_class_token_is_read_right_after_a_full_attention(self, options: dict) -> None:
        space = load_space("vision_transformer", pooling=("mean", "token"), depth=(1, 2, 3), **options)
        mixers = {"mean": set(), "token": set()}
        for seed in range(150):
            architecture = space.sample_balanced(random.Random(seed))
            prefix = f"stages.{int(architecture['stages']) - 1}." if "stages" in architecture else ""
            last = int(architecture[f"{prefix}depth"]) - 1
            mixers[architecture["pooling"]].add(architecture.get(f"{prefix}layers.{last}.mixer"))
        assert mixers["token"] == {"softmax"}
        assert len(mixers["mean"]) > 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": 5}, "option 'stages' takes whole numbers of at least 1 and at most 4, got 5"),
        ({"pooling": "max"}, "option 'pooling'.*'max'"),
        ({"block": "mobile"}, "option 'block'.*'mobile'"),
        ({"pooling": "token", "mixer": "windowed"}, "pooling 'token' needs the mixer 'softmax'"),
        ({"pooling": "token", "block": "convolution"}, "pooling 'token' needs the mixer 'softmax'"),
        ({"block": "moat", "mixer": "identity"}, "block 'moat' needs an attention mixer"),
    ],
)
def test_what_no_architecture_could_have_is_explained(options: dict, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        load_space("vision_transformer", **options)
