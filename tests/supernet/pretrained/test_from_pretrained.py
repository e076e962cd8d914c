"""Shared weights whose largest architecture is a given model: what is copied, cast, kept and refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from search_spaces import Architecture, Categorical, Ordinal, SearchSpace
from supernet.errors import PretrainedError
from supernet.pretrained.files import read_weights
from supernet.shared_weights import SharedWeights
from tests.supernet.pretrained.networks import (
    CHANNELS,
    INPUTS,
    PERCEPTRONS,
    Perceptron,
    convolutions,
    perceptron,
    randomised,
)

LARGEST = Architecture({"hidden": 4})


def test_the_largest_architecture_is_the_model() -> None:
    """Bit by bit, whether a module or its tensors are given; smaller ones are its leading neurons."""
    model = randomised(Perceptron(4))
    assert isinstance(model, Perceptron)
    x = torch.randn(6, INPUTS)
    for given in (model, model.state_dict()):
        weights = SharedWeights.from_pretrained(given, perceptron, PERCEPTRONS).eval()
        assert torch.equal(weights.borrow(LARGEST)(x), model(x))
        assert torch.equal(weights.extract(LARGEST)(x), model(x))
        small = (x @ model.up.weight[:2].T + model.up.bias[:2]).relu() @ model.down.weight[:, :2].T + model.down.bias
        assert torch.allclose(weights.borrow(Architecture({"hidden": 2}))(x), small, rtol=1e-5)


def test_the_model_is_neither_changed_nor_shared() -> None:
    model = randomised(Perceptron(4))
    before = copy.deepcopy(model.state_dict())
    weights = SharedWeights.from_pretrained(model, perceptron, PERCEPTRONS)
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.fill_(0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_only_the_largest_has_the_running_statistics_of_the_model() -> None:
    model = randomised(convolutions(Architecture({"channels": 4})))
    weights = SharedWeights.from_pretrained(model, convolutions, CHANNELS).eval()
    x = torch.randn(3, 2, 5, 5)
    assert torch.equal(weights.borrow(Architecture({"channels": 4}))(x), model(x))
    assert torch.equal(weights.extract(Architecture({"channels": 4}))(x), model(x))
    small = dict(weights.extract(Architecture({"channels": 2})).named_buffers())
    assert torch.equal(small["norm.running_mean"], torch.zeros(2))
    without = {name: value for name, value in model.state_dict().items() if "running" not in name}
    fresh = SharedWeights.from_pretrained(without, convolutions, CHANNELS).extract(Architecture({"channels": 4}))
    assert torch.equal(dict(fresh.named_buffers())["norm.running_mean"], torch.zeros(4))


class Either(nn.Module):
    """One of two maps, under names of their own."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({kind: nn.Linear(INPUTS, 2)})


def test_what_only_others_have_is_what_build_gives_with_the_seed() -> None:
    space = SearchSpace({"kind": Categorical("a", "b")})

    def build(architecture: Architecture) -> nn.Module:
        return Either(str(architecture["kind"]))

    model = Either("b")
    one, same, other = (
        SharedWeights.from_pretrained(model, build, space, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    plain = SharedWeights(build, space, seed=3).state_dict()
    assert torch.equal(one["maps.b.weight"], model.maps["b"].get_parameter("weight"))
    assert torch.equal(one["maps.a.weight"], same["maps.a.weight"])
    assert torch.equal(one["maps.a.weight"], plain["maps.a.weight"])
    assert not torch.equal(one["maps.a.weight"], other["maps.a.weight"])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_are_cast(kind: torch.dtype) -> None:
    state = {name: value.to(kind) for name, value in randomised(Perceptron(4)).state_dict().items()}
    weights = SharedWeights.from_pretrained(state, perceptron, PERCEPTRONS).state_dict()
    assert all(torch.equal(weights[name], value.float()) for name, value in state.items())
    assert {value.dtype for value in weights.values()} == {torch.float32}


class Tied(nn.Module):
    """A table that is read twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(7, width)
        self.head = nn.Linear(width, 7, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.table(ids))
        return out


def tied(architecture: Architecture) -> nn.Module:
    return Tied(int(architecture["width"]))


WIDTHS = SearchSpace({"width": Ordinal(2, 4)})


def test_a_tied_parameter_may_come_under_any_of_its_names(tmp_path: Path) -> None:
    model, ids = Tied(4), torch.arange(7)
    save_model(model, str(tmp_path / "tied.safetensors"))
    once = read_weights(tmp_path / "tied.safetensors").tensors
    assert len(once) == 1
    for given in (model, model.state_dict(), once, {"head.weight": model.head.weight}):
        weights = SharedWeights.from_pretrained(given, tied, WIDTHS).eval()
        assert torch.equal(weights.borrow(Architecture({"width": 4}))(ids), model(ids))
    two = {"table.weight": model.table.weight, "head.weight": model.table.weight + 1}
    with pytest.raises(PretrainedError, match=r"tied in build and different here: table\.weight and head\.weight"):
        SharedWeights.from_pretrained(two, tied, WIDTHS)


def broken(**changes: Tensor | None) -> dict[str, Tensor]:
    """The tensors of a perceptron, some changed (`up__weight`), some left out."""
    state: dict[str, Tensor | None] = {**Perceptron(4).state_dict()}
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (broken(up__bias=None, down__bias=None), ["missing: up.bias (4,); down.bias (3,)"]),
        (broken(side=torch.zeros(2)), ["unexpected: side (2,)"]),
        (broken(up__weight=torch.zeros(8, INPUTS)), ["of another shape: up.weight (8, 5), not (4, 5)"]),
        (broken(up__weight=None, upp__weight=torch.zeros(1)), ["missing: up.weight", "unexpected: upp.weight"]),
        (broken(up__bias=torch.tensor([1, float("nan"), float("inf"), 0])), ["not finite: up.bias (2 of 4 values)"]),
        (broken(up__bias=torch.full((4,), 1e300, dtype=torch.float64)), ["not finite: up.bias (4 of 4 values)"]),
        (broken(up__bias=torch.zeros(4, dtype=torch.int8)), ["not of floating point: up.bias (torch.int8)"]),
        ({"model": 3, **broken()}, ["'model'", "int", "state_dict()"]),
        ("weights.pt", ["an nn.Module or a mapping", "str"]),
        ({**broken(), **{f"more.{index}": torch.zeros(1) for index in range(20)}}, ["and 12 more"]),
    ],
)
def test_another_model_is_refused_with_all_that_differs(given: object, words: list[str]) -> None:
    with pytest.raises(PretrainedError) as caught:
        SharedWeights.from_pretrained(given, perceptron, PERCEPTRONS)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_buffer_of_another_shape_is_refused() -> None:
    state = {**convolutions(Architecture({"channels": 4})).state_dict(), "norm.running_mean": torch.zeros(3)}
    with pytest.raises(PretrainedError, match=r"norm\.running_mean \(3,\), not \(4,\)"):
        SharedWeights.from_pretrained(state, convolutions, CHANNELS)


def test_a_frozen_parameter_stays_frozen() -> None:
    def build(architecture: Architecture) -> nn.Module:
        model = perceptron(architecture)
        model.get_parameter("up.weight").requires_grad_(False)
        return model

    weights = SharedWeights.from_pretrained(Perceptron(4), build, PERCEPTRONS)
    assert not weights.get_parameter("up.weight").requires_grad
    assert weights.get_parameter("down.weight").requires_grad


def test_only_safetensors_are_read(tmp_path: Path) -> None:
    """Reading a pickle may run code."""
    state = Perceptron(4).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    (tmp_path / "pickle.safetensors").write_bytes((tmp_path / "weights.pt").read_bytes())
    save_file(state, tmp_path / "good.safetensors")
    save_file({}, tmp_path / "empty.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "good.safetensors").read_bytes()[:-5])
    good = read_weights(tmp_path / "good.safetensors")
    assert all(torch.equal(good.tensors[name], value) for name, value in state.items())
    assert len(good.sha256) == 64
    for name, words in {
        "weights.pt": "is no safetensors file",
        "pickle.safetensors": "may run code",
        "cut.safetensors": "is no safetensors file",
        "empty.safetensors": "holds no tensors",
        "nothing.safetensors": "is no safetensors file",
        ".": "is a folder",
    }.items():
        with pytest.raises(PretrainedError, match=words):
            read_weights(tmp_path / name)
