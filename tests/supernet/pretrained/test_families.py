"""What the families that Supernaut brings say of the order of their units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from search_spaces import load_space
from supernet.models.registry import builder_of, family_names, load_family
from supernet.pretrained.calibration import Calibration
from supernet.pretrained.coupling import find_groups
from supernet.pretrained.importance import importance_of
from supernet.shared_weights import SharedWeights
from supernet.skeleton import build_real

if TYPE_CHECKING:
    from search_spaces import SearchSpace
    from supernet.skeleton import Build

# Spaces of one architecture, which are quickly looked through: for each family the kinds of layers that it has.
_SMALL: dict[str, list[dict[str, Any]]] = {
    "causal_lm": [
        {"mixer": "softmax", "heads": 4, "key_heads": 2, "value_heads": 2, "feed_forward": "gated"},
        {"mixer": "softmax", "heads": 4, "key_heads": 2, "value_heads": 4, "norm": "layer"},
        {"mixer": "linear", "heads": 2, "feed_forward": "plain"},
        {"mixer": "short_convolution"},
    ],
    "convnet": [{"attention": kind} for kind in ("none", "se", "eca")],
    "tdnn": [{"aggregation": "all"}, {"aggregation": "last"}],
    "text_encoder": [{"mixer": "softmax"}, {"mixer": "convolution"}],
    "vision_transformer": [
        {"patch": 4, "mixer": "softmax", "pooling": "token"},
        {"patch": 4, "mixer": "convolution"},
        {"patch": 4, "mixer": "windowed", "block": "moat"},
        {"patch": 2, "mixer": "softmax", "stages": 2, "growth": 2},
    ],
}
_TOKENS = {"depth": 2, "width": 32, "mlp_ratio": 2, "bits": 32}
_SHARED: dict[str, dict[str, Any]] = {
    "causal_lm": {**_TOKENS, "feed_forward": "gated", "span": "full", "local_span": "same"},
    "convnet": {"depth": 2, "width": 8, "kernel": 3, "expansion": 3},
    "tdnn": {"depth": 2, "width": 16, "pooled": 16, "embedding": 16, "kernel": 3},
    "text_encoder": {**_TOKENS, "heads": 2, "window": 4},
    "vision_transformer": {**_TOKENS, "heads": 2, "window": 2},
}
CASES = [(name, options) for name, listed in _SMALL.items() for options in listed]


def space_of(name: str, options: dict[str, Any]) -> SearchSpace:
    return load_space(name, **{**_SHARED[name], **options})


def pretrained(build: Build, space: SearchSpace, inputs: Tensor) -> nn.Module:
    """A model of the largest architecture with values of its own, running statistics included."""
    model = build_real(build, space.largest(), seed=5)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.train()
    with torch.no_grad():
        model(inputs)
    return model.eval()


def test_every_family_has_a_case() -> None:
    assert set(_SMALL) == set(family_names())


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_the_largest_computes_the_same_in_any_order(name: str, options: dict[str, Any]) -> None:
    """Units of every kind move, and so do the layers where they can be ranked."""
    family, space = load_family(name), space_of(name, options)
    assert family.example is not None
    task = family.example()
    build, (inputs, targets) = builder_of(family, task), task.train.read(slice(0, 8))
    model = pretrained(build, space, inputs)
    layers = [path for path in family.residual_layers if "*" not in path and "stages" not in space.largest()]
    if "stages.0.depth" in space.largest() and name == "vision_transformer":
        layers = ["stages.0.layers", "stages.1.layers"]
    weights = SharedWeights.from_pretrained(
        model,
        build,
        space,
        order="gradient",
        couplings=family.couplings,
        layers=layers,
        calibration=Calibration(inputs=(inputs,), targets=(targets,)),
    ).eval()
    plain = SharedWeights.from_pretrained(model, build, space).eval()
    with torch.no_grad():
        assert torch.equal(plain.borrow(space.largest())(inputs), model(inputs))
        # In double precision: a norm over next to nothing makes more of rounding than any tolerance.
        exact = inputs.double() if inputs.is_floating_point() else inputs
        found, wanted = weights.extract(space.largest()).double()(exact), model.double()(exact)
    assert float((found - wanted).abs().max() / wanted.abs().max()) <= 1e-9
    assert not torch.equal(found, wanted)  # something did move


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_the_features_of_every_axis_that_a_choice_narrows_are_ordered(name: str, options: dict[str, Any]) -> None:
    """Nothing is forgotten: a coupling for each choice of a width, of heads and of hidden features."""
    family, space = load_family(name), space_of(name, options)
    assert family.example is not None
    assert callable(family.couplings)
    model = build_real(builder_of(family, family.example()), space.largest(), 0)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    groups = find_groups(family.couplings(space.largest()), shapes, {})
    found = {group.name.split(" at ")[0] for group in groups}
    assert found == _EXPECTED[name][_SMALL[name].index(options)], found
    assert all(group.units > 1 for group in groups if not group.name.startswith("query heads"))


_HEADS = {"heads with their K and V heads", "query heads"}
_CHANNELS = {"channels of stage 0", "channels of stage 1"}
_EXPECTED: dict[str, list[set[str]]] = {
    "causal_lm": [
        {"width", "hidden features"} | _HEADS,
        {"width", "hidden features"} | _HEADS,
        {"width", "hidden features"},
        {"width", "hidden features"},
    ],
    "convnet": [{"hidden channels"} | _CHANNELS, {"hidden channels", "squeezed channels"} | _CHANNELS, _CHANNELS],
    "tdnn": [{"features of block 0", "features of block 1", "pooled features", "embedding"}] * 2,
    "text_encoder": [{"width", "hidden features", "heads"}, {"width", "hidden features"}],
    "vision_transformer": [
        {"width", "hidden features", "heads"},
        {"width", "hidden features"},
        {"width", "hidden features", "heads"},
        {"hidden features", "heads"},
    ],
}


def test_query_heads_of_the_language_model_follow_the_head_that_they_read() -> None:
    """Query head i reads K and V head i mod 2.  The second of these is larger: 1, 0, 3, 2; then runs of two."""
    family = load_family("causal_lm")
    space = space_of("causal_lm", {**_SMALL["causal_lm"][0], "depth": 1})
    assert family.example is not None
    task = family.example()
    build = builder_of(family, task)
    inputs, _ = task.train.read(slice(0, 8))
    model = pretrained(build, space, inputs)
    body = "layers.0.mixer.softmax_16.body"
    key, query = model.get_parameter(f"{body}.key.weight"), model.get_parameter(f"{body}.query.weight")
    with torch.no_grad():
        key[16:] *= 10  # K head 1
        query[32:] *= 5  # query heads 2 and 3
    assert callable(family.couplings)
    couplings = [one for one in family.couplings(space.largest()) if "heads" in one.name]
    calibration = Calibration(inputs=(inputs,))
    weights = SharedWeights.from_pretrained(
        model, build, space, order="magnitude", couplings=couplings, calibration=calibration
    ).eval()
    state = weights.state_dict()

    def rows(*heads: int) -> list[int]:
        return [16 * head + feature for head in heads for feature in range(16)]

    assert torch.equal(state[f"{body}.key.weight"], key[rows(1, 0)])
    assert torch.equal(state[f"{body}.query.weight"], query[rows(3, 2, 1, 0)])
    output = model.get_parameter(f"{body}.output.weight")
    assert torch.equal(state[f"{body}.output.weight"], output[:, rows(3, 2, 1, 0)])


def test_heads_that_see_other_spans_are_not_exchanged() -> None:
    couplings = load_family("causal_lm").couplings
    assert callable(couplings)
    for local, expected in (("same", True), (8, False)):
        space = space_of("causal_lm", {**_SMALL["causal_lm"][0], "local_span": local})
        assert any("heads" in one.name for one in couplings(space.largest())) == expected


def test_importance_leaves_the_model_as_it_was() -> None:
    family = load_family("convnet")
    space = space_of("convnet", _SMALL["convnet"][1])
    assert family.example is not None
    task = family.example()
    inputs, targets = task.train.read(slice(0, 8))
    model = pretrained(builder_of(family, task), space, inputs).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert callable(family.couplings)
    shapes = {name: tuple(value.shape) for name, value in before.items()}
    groups = find_groups(family.couplings(space.largest()), shapes, {})
    for criterion in ("magnitude", "activation", "gradient"):
        importance_of(model, criterion, groups, (), Calibration(inputs=(inputs,), targets=(targets,)))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(child._forward_hooks for child in model.modules())
