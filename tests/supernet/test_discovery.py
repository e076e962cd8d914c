"""How shared tensors are found: their names, shapes and initial values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from search_spaces import Categorical, Condition, Constraint, Ordinal, SearchSpace
from supernet import Packed, SharedWeights, discovery
from supernet.errors import LayoutError
from tests.supernet.toys import inputs, of_width, perceptron, space_of, width_space

if TYPE_CHECKING:
    from search_spaces import Architecture


def test_values_are_those_of_a_real_build_of_the_largest() -> None:
    def constant(architecture: Architecture) -> nn.Module:
        module = perceptron(architecture)
        for parameter in module.parameters():
            nn.init.constant_(parameter, float(architecture["width"]))
        return module

    assert all((p == 4).all() for p in SharedWeights(constant, width_space()).parameters())


def test_equal_seeds_give_equal_weights() -> None:
    first, second, other = (SharedWeights(perceptron, width_space(), seed=seed) for seed in (7, 7, 8))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.get_parameter("hidden.weight"), other.get_parameter("hidden.weight"))


def test_a_shape_that_no_architecture_holds_whole() -> None:
    rule = Constraint(("rows", "columns"), lambda a: a["rows"] + a["columns"] < 9, "rows + columns < 9")
    space = SearchSpace({"rows": Ordinal(2, 4), "columns": Ordinal(3, 5)}, constraints=[rule])

    def linear(architecture: Architecture) -> nn.Module:
        module = nn.Linear(int(architecture["columns"]), int(architecture["rows"]), bias=False)
        with torch.no_grad():
            module.weight.copy_(torch.arange(1.0, module.weight.numel() + 1).reshape(module.weight.shape))
        return module

    weights = SharedWeights(linear, space)
    weight = weights.get_parameter("weight").detach()
    assert weight.shape == (4, 5)
    most = torch.arange(1.0, 13).reshape(4, 3)  # 4 x 3 holds more of it than 2 x 5
    assert torch.equal(weight[:, :3], most)
    assert torch.isin(weight, most).all()  # nothing uninitialised, nothing of another scale
    for architecture in space.enumerate():
        x = inputs(2, int(architecture["columns"]))
        assert torch.equal(weights.borrow(architecture)(x), weights.extract(architecture)(x))


def test_names_that_only_a_condition_brings_out_are_found() -> None:
    """`kernel` is active only where `kind` is the value that the largest architecture does not have."""
    space = SearchSpace(
        {
            "deep": Categorical(True, False),
            "kind": Categorical("convolution", "linear"),
            "kernel": Ordinal(*range(1, 40, 2)),
        },
        conditions={
            "kind": [Condition("deep", (True,))],
            "kernel": [Condition("kind", ("convolution",))],
        },
    )

    def build(architecture: Architecture) -> nn.Module:
        if "kernel" not in architecture:
            return nn.Sequential(nn.Linear(1, 1))
        kernel = int(architecture["kernel"])
        return nn.ModuleDict({f"kernel_{kernel}": nn.Conv1d(1, 1, kernel)})

    weights = SharedWeights(build, space)
    for architecture in space.enumerate():
        weights.borrow(architecture)


def test_a_differing_number_of_axes_is_refused_by_name() -> None:
    def build(architecture: Architecture) -> nn.Module:
        return nn.Conv1d(1, 1, 1) if architecture["kind"] == "one" else nn.Conv2d(1, 1, 1)

    with pytest.raises(LayoutError, match=r"weight has . axes in one architecture and . in another"):
        SharedWeights(build, space_of(kind=Categorical("one", "two")))


def test_a_differing_dtype_is_refused_by_name() -> None:
    def build(architecture: Architecture) -> nn.Module:
        return nn.Linear(2, 2, dtype=torch.float64 if architecture["wide"] else torch.float32)

    with pytest.raises(LayoutError, match=r"weight is torch.float.. in one architecture and torch.float.."):
        SharedWeights(build, space_of(wide=Categorical(False, True)))


def test_a_misspelt_layout_pattern_names_the_nearest_parameters() -> None:
    with pytest.raises(LayoutError, match=r"'hiden.weight' matches no parameter.*hidden.weight"):
        SharedWeights(perceptron, width_space(), layouts={"hiden.weight": Packed(2)})


def test_a_failing_build_names_the_architecture() -> None:
    def build(architecture: Architecture) -> nn.Module:
        if architecture["width"] == 3:
            raise RuntimeError("width 3 is broken")
        return perceptron(architecture)

    with pytest.raises(RuntimeError, match="width 3 is broken") as caught:
        SharedWeights(build, width_space())
    assert caught.value.__notes__ == ['while building the architecture {"width":3}']


def test_a_parameter_that_is_frozen_in_some_architectures_is_trained_in_the_others() -> None:
    def build(architecture: Architecture) -> nn.Module:
        module = nn.Linear(2, int(architecture["width"]))
        module.weight.requires_grad_(architecture["width"] != 4)
        return module

    weights = SharedWeights(build, width_space())
    weights.borrow(of_width(4))(inputs(1, 2)).sum().backward()
    assert weights.get_parameter("weight").grad is None
    weights.borrow(of_width(2))(inputs(1, 2)).sum().backward()
    assert weights.get_parameter("weight").grad is not None


def test_names_that_depend_on_several_choices_at_once_are_all_found() -> None:
    """The tensor in one place is named after three answers; no more than one of them is probed at a time."""
    space = SearchSpace({name: Categorical(*values) for name, values in {"a": "xyz", "b": "uvw", "c": "rst"}.items()})

    def build(architecture: Architecture) -> nn.Module:
        return nn.ModuleDict({"".join(str(answer) for answer in architecture.values()): nn.Linear(2, 2)})

    weights = SharedWeights(build, space)
    assert len(list(weights.parameters())) == 2 * space.size()
    for architecture in space.enumerate():
        weights.borrow(architecture)


def test_combinations_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MOST_COMBINATIONS", 20)
    space = SearchSpace({f"choice_{index}": Categorical("x", "y", "z") for index in range(12)})

    def build(architecture: Architecture) -> nn.Module:
        return nn.ModuleDict({"".join(str(answer) for answer in architecture.values()): nn.Linear(1, 1)})

    assert len(list(SharedWeights(build, space).parameters())) < 2 * (20 + 2 * 12 + discovery.RANDOM_PROBES + 2)
