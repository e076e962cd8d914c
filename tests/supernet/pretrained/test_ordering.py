"""Orders by importance against permutations written by hand, and couplings that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, SearchSpace
from supernet.errors import CouplingError, PretrainedError
from supernet.pretrained.axes import normalised, read, written
from supernet.pretrained.calibration import Calibration
from supernet.pretrained.coupling import Axis, Coupling
from supernet.pretrained.importance import CRITERIA, Criterion
from supernet.shared_weights import SharedWeights
from supernet.slicing import Packed
from tests.supernet.pretrained.networks import (
    CHANNELS,
    CLASSES,
    DEPTHS,
    GROUPS,
    HEAD,
    HEADS,
    INPUTS,
    PERCEPTRONS,
    Convolutions,
    GroupedAttention,
    PackedAttention,
    Perceptron,
    Stack,
    convolutions,
    grouped_attention,
    packed_attention,
    perceptron,
    randomised,
)

if TYPE_CHECKING:
    from supernet.skeleton import Build

HIDDEN = Coupling("hidden", (*written("up"), *read("down")))
PACKED = Coupling("heads", (*written("stacked", block=HEAD, parts=3), *read("out", block=HEAD)))
GROUPED = Coupling(
    "groups",
    (
        Axis("query.weight", block=2 * HEAD),
        Axis("key.weight", block=HEAD),
        Axis("value.weight", block=HEAD),
        *read("out", block=2 * HEAD),
    ),
)
CONVOLVED = Coupling("channels", (Axis("first.weight"), *normalised("norm"), *written("depthwise"), *read("last")))


ELASTIC = ("up.weight", "stacked.weight", "first.weight")


def samples(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ordered(
    model: nn.Module,
    build: Build,
    space: SearchSpace,
    inputs: Tensor,
    couplings: Sequence[Coupling] = (),
    *,
    order: Criterion = "magnitude",
    layers: Sequence[str] = (),
    targets: Tensor | None = None,
    layouts: dict[str, Packed] | None = None,
) -> SharedWeights:
    calibration = Calibration(inputs=(inputs,), targets=() if targets is None else (targets,))
    return SharedWeights.from_pretrained(
        model, build, space, order=order, couplings=couplings, layers=layers, calibration=calibration, layouts=layouts
    ).eval()


def scale(tensor: Tensor, axis: int, factors: Sequence[float]) -> None:
    """Multiply each slice along an axis."""
    with torch.no_grad():
        for index, factor in enumerate(factors):
            tensor.select(axis, index).mul_(factor)


def test_hidden_neurons_of_a_perceptron() -> None:
    """Neurons 2, 0, 3, 1 by the size of their weights: rows of one map, columns of the next."""
    model = randomised(Perceptron(4))
    assert isinstance(model, Perceptron)
    scale(model.up.weight, 0, (10, 0.1, 100, 1))
    x = samples(6, INPUTS)
    weights = ordered(model, perceptron, PERCEPTRONS, x, [HIDDEN])
    state = weights.state_dict()
    order = [2, 0, 3, 1]
    assert torch.equal(state["up.weight"], model.up.weight[order])
    assert torch.equal(state["up.bias"], model.up.bias[order])
    assert torch.equal(state["down.weight"], model.down.weight[:, order])
    assert torch.equal(state["down.bias"], model.down.bias)
    assert torch.allclose(weights.borrow(Architecture({"hidden": 4}))(x), model(x), rtol=1e-5)
    kept = (x @ model.up.weight[[2, 0]].T + model.up.bias[[2, 0]]).relu()
    small = kept @ model.down.weight[:, [2, 0]].T + model.down.bias
    assert torch.allclose(weights.borrow(Architecture({"hidden": 2}))(x), small, rtol=1e-5)


def test_the_importance_of_a_perceptron_is_what_its_definition_says() -> None:
    model = randomised(Perceptron(4))
    assert isinstance(model, Perceptron)
    x, targets = samples(6, INPUTS), torch.arange(6) % CLASSES
    hidden = (x @ model.up.weight.T + model.up.bias).relu()
    coupled = (model.up.weight, model.up.bias, model.down.weight)
    found = torch.autograd.grad(nn.functional.cross_entropy(model(x), targets), coupled)
    gradients = [(weight * gradient).abs() for weight, gradient in zip(coupled, found, strict=True)]
    by_hand = {
        "magnitude": model.up.weight.square().sum(1) + model.up.bias.square() + model.down.weight.square().sum(0),
        "activation": hidden.abs().mean(0),
        "gradient": gradients[0].sum(1) + gradients[1] + gradients[2].sum(0),
    }
    for criterion in CRITERIA:
        weights = ordered(model, perceptron, PERCEPTRONS, x, [HIDDEN], order=criterion, targets=targets)
        order = by_hand[criterion].argsort(descending=True)
        assert torch.equal(weights.state_dict()["up.bias"], model.up.bias[order]), criterion


def test_heads_in_a_packed_projection() -> None:
    """The third head is the largest: it comes first in each of the three blocks, and alone in a subnet of one."""
    model = randomised(PackedAttention(3))
    assert isinstance(model, PackedAttention)
    with torch.no_grad():
        model.out.weight[:, 2 * HEAD :] *= 10
        model.out.weight[:, HEAD : 2 * HEAD] *= 0.01
    x = samples(2, 4, INPUTS)
    layouts = {"stacked.*": Packed(3)}
    weights = ordered(model, packed_attention, HEADS, x, [PACKED], layouts=layouts)
    rows = [4, 5, 0, 1, 2, 3]  # of one block: heads 2, 0, 1 of two features each
    rows = [*rows, *(6 + row for row in rows), *(12 + row for row in rows)]
    state = weights.state_dict()
    assert torch.equal(state["stacked.weight"], model.stacked.weight[rows])
    assert torch.equal(state["stacked.bias"], model.stacked.bias[rows])
    assert torch.equal(state["out.weight"], model.out.weight[:, [4, 5, 0, 1, 2, 3]])
    assert torch.allclose(weights.borrow(Architecture({"heads": 3}))(x), model(x), rtol=1e-5)
    q, k, v = (x @ model.stacked.weight[[a, a + 1]].T + model.stacked.bias[[a, a + 1]] for a in (4, 10, 16))
    mixed = (q @ k.transpose(1, 2) / HEAD**0.5).softmax(-1) @ v
    alone = mixed @ model.out.weight[:, [4, 5]].T + model.out.bias
    assert torch.allclose(weights.borrow(Architecture({"heads": 1}))(x), alone, rtol=1e-5)


def test_groups_of_query_heads_move_with_their_key_and_value_heads() -> None:
    model = randomised(GroupedAttention(3))
    assert isinstance(model, GroupedAttention)
    scale(model.value.weight, 0, (1, 1, 20, 20, 5, 5))
    x = samples(2, 4, INPUTS)
    weights = ordered(model, grouped_attention, GROUPS, x, [GROUPED])
    state = weights.state_dict()
    assert torch.equal(state["query.weight"], model.query.weight[[4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3]])
    assert torch.equal(state["key.weight"], model.key.weight[[2, 3, 4, 5, 0, 1]])
    assert torch.equal(state["value.weight"], model.value.weight[[2, 3, 4, 5, 0, 1]])
    assert torch.allclose(weights.borrow(Architecture({"groups": 3}))(x), model(x), rtol=1e-5)
    k, v = x @ model.key.weight[[2, 3]].T, x @ model.value.weight[[2, 3]].T
    queries = (x @ model.query.weight[[4, 5]].T, x @ model.query.weight[[6, 7]].T)
    mixed = torch.cat([(q @ k.transpose(1, 2) / HEAD**0.5).softmax(-1) @ v for q in queries], -1)
    alone = mixed @ model.out.weight[:, [4, 5, 6, 7]].T
    assert torch.allclose(weights.borrow(Architecture({"groups": 1}))(x), alone, rtol=1e-5)


def test_channels_with_their_running_statistics() -> None:
    """Without data the largest subnet has the statistics of the model, moved with its channels."""
    model = randomised(Convolutions(4))
    assert isinstance(model, Convolutions)
    scale(model.first.weight, 0, (1, 30, 3, 10))
    x = samples(3, 2, 5, 5)
    weights = ordered(model, convolutions, CHANNELS, x, [CONVOLVED])
    order = [1, 3, 2, 0]
    state = weights.state_dict()
    assert torch.equal(state["first.weight"], model.first.weight[order])
    assert torch.equal(state["norm.weight"], model.norm.weight[order])
    assert torch.equal(state["depthwise.weight"], model.depthwise.weight[order])
    assert torch.equal(state["last.weight"], model.last.weight[:, order])
    largest = weights.borrow(Architecture({"channels": 4}))
    statistics = dict(largest.named_buffers())
    assert model.norm.running_mean is not None
    assert torch.equal(statistics["norm.running_mean"], model.norm.running_mean[order])
    assert torch.allclose(largest(x), model(x), rtol=1e-5)


def test_two_couplings_of_one_axis_are_ordered_one_after_the_other() -> None:
    """First all neurons, then runs of two of them as they are by then."""
    model = randomised(Perceptron(4))
    assert isinstance(model, Perceptron)
    with torch.no_grad():
        model.up.weight.fill_(1)
    scale(model.up.weight, 0, (1, 10, 9, 30))
    runs = Coupling("runs", (*written("up", block=2), *read("down", block=2)))
    weights = ordered(model, perceptron, PERCEPTRONS, samples(6, INPUTS), [HIDDEN, runs])
    assert torch.equal(weights.state_dict()["up.weight"], model.up.weight[[3, 1, 2, 0]])


@pytest.mark.parametrize("way", ["each", "sliced", "numbered", "backwards", "sequential"])
@pytest.mark.parametrize("order", CRITERIA)
def test_a_layer_that_does_nothing_is_the_first_to_go(way: str, order: Criterion) -> None:
    """The others are computed in the order of the model, whatever their ranks."""
    model = randomised(Stack(4, way))
    assert isinstance(model, Stack)
    with torch.no_grad():
        for name, factor in {"layers.1": 0.0, "layers.2": 0.05, "layers.3": 0.02, "layers.0": 0.01}.items():
            for parameter in model.get_submodule(name).parameters():
                parameter.mul_(factor)

    def build(architecture: Architecture) -> nn.Module:
        return Stack(int(architecture["depth"]), way)

    x, targets = samples(6, INPUTS), torch.arange(6) % CLASSES
    weights = ordered(model, build, DEPTHS, x, order=order, layers=["layers"], targets=targets)
    assert torch.allclose(weights.borrow(Architecture({"depth": 4}))(x), model(x), rtol=1e-5)
    assert torch.allclose(weights.borrow(Architecture({"depth": 3}))(x), model(x), rtol=1e-5)
    assert not torch.allclose(weights.borrow(Architecture({"depth": 2}))(x), model(x), rtol=1e-5)
    if order == "magnitude":
        state = weights.state_dict()
        ranks = [model.get_parameter(f"layers.{index}.map.weight") for index in (2, 3, 0, 1)]
        assert all(torch.equal(state[f"layers.{rank}.map.weight"], value) for rank, value in enumerate(ranks))


def test_extracted_layers_are_called_by_rank_and_computed_in_their_order() -> None:
    model = randomised(Stack(3))
    assert isinstance(model, Stack)
    with torch.no_grad():
        model.get_submodule("layers.0").get_parameter("map.weight").mul_(0.01)
    space = DEPTHS.narrow({"depth": (1, 2, 3)})
    weights = ordered(model, _stack, space, samples(6, INPUTS), layers=["layers"])
    small = weights.extract(Architecture({"depth": 2}))
    assert sorted(name for name, _ in small.named_parameters() if "weight" in name) == [
        "head.weight",
        "layers.0.map.weight",
        "layers.1.map.weight",
    ]


def _stack(architecture: Architecture) -> nn.Module:
    return Stack(int(architecture["depth"]))


class Unequal(Stack):
    """The last layer has a parameter more."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.get_submodule(f"layers.{depth - 1}").register_parameter("more", nn.Parameter(torch.ones(1)))


class ByNumber(Stack):
    """What a layer computes depends on where it stands."""

    def forward(self, x: Tensor) -> Tensor:
        for number, (_, layer) in enumerate(sorted(self.layers.named_children())):
            x = layer(x) * (number + 1)
        out: Tensor = self.head(x)
        return out


@pytest.mark.parametrize(
    ("network", "path", "words"),
    [
        (Unequal, "layers", ["'layers' cannot be ranked", "layers.3", "more"]),
        (ByNumber, "layers", ["computes something else", "the ranks of the layers at layers"]),
        (Stack, "layer", ["'layer'", "no such part"]),
        (Stack, "head", ["nn.ModuleList", "'head'", "Linear"]),
    ],
)
def test_layers_that_cannot_be_exchanged_are_refused(network: type[Stack], path: str, words: list[str]) -> None:
    model = randomised(network(4))
    for index in range(4):
        scale(model.get_submodule(f"layers.{index}").get_parameter("map.weight"), 0, [0.1 * (index + 1)] * INPUTS)
    with pytest.raises(CouplingError) as caught:
        ordered(model, lambda a: network(int(a["depth"])), DEPTHS, samples(6, INPUTS), layers=[path])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def without(coupling: Coupling, *names: str) -> Coupling:
    return Coupling(coupling.name, tuple(axis for axis in coupling.axes if axis.name not in names))


@pytest.mark.parametrize(
    ("build", "space", "shape", "coupling", "words"),
    [
        (perceptron, PERCEPTRONS, (6, INPUTS), without(HIDDEN, "up.bias"), ["computes something else", "hidden"]),
        (perceptron, PERCEPTRONS, (6, INPUTS), without(HIDDEN, "down.weight"), ["computes something else"]),
        (perceptron, PERCEPTRONS, (6, INPUTS), Coupling("a", read("up")), ["computes something else", "a ("]),
        (packed_attention, HEADS, (2, 4, INPUTS), Coupling("h", written("stacked", parts=3)), ["something else"]),
        (
            packed_attention,
            HEADS,
            (2, 4, INPUTS),
            Coupling("features", (*written("stacked", parts=3), *read("out", block=HEAD))),
            ["equally many units", "6 along axis 0 of stacked.weight", "3 along axis 1 of out.weight"],
        ),
        (
            packed_attention,
            HEADS,
            (2, 4, INPUTS),
            Coupling("h", written("stacked", block=5)),
            ["18 long", "5 elements"],
        ),
        (
            convolutions,
            CHANNELS,
            (3, 2, 5, 5),
            without(CONVOLVED, "norm.running_var"),
            ["computes something else", "channels"],
        ),
        (perceptron, PERCEPTRONS, (6, INPUTS), Coupling("h", (Axis("upp.weight"),)), ["'upp.weight'", "up.weight"]),
        (perceptron, PERCEPTRONS, (6, INPUTS), Coupling("h", (Axis("w"),), at="mlp"), ["'mlp'", "up.weight"]),
        (perceptron, PERCEPTRONS, (6, INPUTS), Coupling("h", (Axis("up.bias", 1),)), ["axis 1", "up.bias", "(4,)"]),
    ],
)
def test_wrong_couplings_are_refused_by_name(
    build: Build, space: SearchSpace, shape: tuple[int, ...], coupling: Coupling, words: list[str]
) -> None:
    model = randomised(build(space.largest()))
    for axis in (HIDDEN, PACKED, CONVOLVED):
        for name in (one.name for one in axis.axes):
            if name in ELASTIC and name in dict(model.named_parameters()):
                scale(model.get_parameter(name), 0, range(1, 1 + len(model.get_parameter(name))))
    with pytest.raises(CouplingError) as caught:
        ordered(model, build, space, samples(*shape), [coupling])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_an_order_needs_is_said() -> None:
    model, x = randomised(Perceptron(4)), samples(6, INPUTS)
    refused = partial(SharedWeights.from_pretrained, model, perceptron, PERCEPTRONS)
    with pytest.raises(PretrainedError, match="needs calibration"):
        refused(order="magnitude", couplings=[HIDDEN])
    with pytest.raises(PretrainedError, match="needs calibration with targets"):
        refused(order="gradient", couplings=[HIDDEN], calibration=Calibration(inputs=(x,)))
    with pytest.raises(CouplingError, match="nothing to order"):
        refused(order="magnitude", calibration=Calibration(inputs=(x,)))
    with pytest.raises(PretrainedError, match="magnitude, activation, gradient"):
        refused(order="size", couplings=[HIDDEN], calibration=Calibration(inputs=(x,)))  # type: ignore[arg-type]
    with pytest.raises(PretrainedError, match="say which"):
        refused(layers=["layers"])
    with pytest.raises(PretrainedError, match="not finite"):
        refused(order="activation", couplings=[HIDDEN], calibration=Calibration(inputs=(x / 0,)))
    with pytest.raises(PretrainedError, match="at least one batch"):
        Calibration(inputs=())
    with pytest.raises(PretrainedError, match="1 batches of inputs and 2 of targets"):
        Calibration(inputs=(x,), targets=(x, x))


def test_a_frozen_or_unseen_group_has_no_importance() -> None:
    model, x = randomised(Convolutions(4)), samples(3, 2, 5, 5)
    statistics = Coupling("statistics", (Axis("norm.running_mean"),))
    with pytest.raises(CouplingError, match="buffers only"):
        ordered(model, convolutions, CHANNELS, x, [statistics])


def test_a_model_that_computes_something_else_with_the_same_tensors_is_refused() -> None:
    class Other(Perceptron):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.down(self.up(x).tanh())
            return out

    with pytest.raises(PretrainedError, match="compute different things"):
        ordered(randomised(Other(4)), perceptron, PERCEPTRONS, samples(6, INPUTS), [HIDDEN])
