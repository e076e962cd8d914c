"""Reused gradient buffers never keep anything of an earlier step, whoever wrote into them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import Packed, SharedWeights, shared_gradients
from tests.supernet.toys import inputs, randomise, space_of

if TYPE_CHECKING:
    from collections.abc import Callable

SPACE = SearchSpace({"rows": Ordinal(16, 24, 32), "columns": Ordinal(17, 20, 33)})


def build(architecture: Architecture) -> nn.Module:
    return nn.Linear(int(architecture["columns"]), int(architecture["rows"]))


def of(rows: int, columns: int) -> Architecture:
    return Architecture({"rows": rows, "columns": columns})


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> SharedWeights:
    monkeypatch.setattr(shared_gradients, "WORTH_KNOWING", 0)  # else so small a tensor is always zeroed
    return randomise(SharedWeights(build, SPACE))


def step(weights: SharedWeights, *chosen: Architecture) -> Tensor:
    """The gradient of the matrix after one step."""
    for architecture in chosen:
        columns = int(architecture["columns"])
        weights.borrow(architecture)(inputs(4, columns, seed=columns)).square().sum().backward()
    gradient = weights.get_parameter("weight").grad
    assert gradient is not None
    return gradient


def fresh(*chosen: Architecture) -> Tensor:
    return step(randomise(SharedWeights(build, SPACE)), *chosen).clone()


SMALL = of(16, 17)
CHANGES: dict[str, Callable[[Tensor], object]] = {
    "noise": lambda gradient: gradient.add_(torch.randn_like(gradient)),
    "noise through data": lambda gradient: gradient.data.add_(torch.ones_like(gradient)),
    "not a number": lambda gradient: gradient.mul_(float("nan")),
    "a single element": lambda gradient: gradient[20, 30].fill_(3.0),
    "clipping": lambda gradient: torch._foreach_mul_([gradient], float("inf")),  # type: ignore[func-returns-value]
    "nothing": lambda gradient: gradient,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("before", [SMALL, of(24, 17), of(16, 33), of(32, 33)])
def test_what_others_wrote_is_gone_in_the_next_step(weights: SharedWeights, change: str, before: Architecture) -> None:
    buffer = step(weights, before)
    CHANGES[change](buffer)
    weights.zero_grad()
    assert step(weights, SMALL) is buffer
    assert torch.equal(buffer, fresh(SMALL))


@pytest.mark.parametrize("change", CHANGES)
def test_what_others_wrote_between_two_subnets_of_a_step_stays_and_is_gone_in_the_next(
    weights: SharedWeights, change: str
) -> None:
    buffer = step(weights, SMALL)
    CHANGES[change](buffer)
    changed = buffer.clone()
    added = step(weights, SMALL) - changed
    if torch.isfinite(changed).all():
        torch.testing.assert_close(added, fresh(SMALL), rtol=1e-4, atol=1e-4)
    weights.zero_grad()
    assert torch.equal(step(weights, SMALL), fresh(SMALL))


def test_a_gradient_of_somebody_else_is_added_to_and_given_back(weights: SharedWeights) -> None:
    step(weights, SMALL)
    own = torch.ones(32, 33)
    weights.get_parameter("weight").grad = own
    assert step(weights, SMALL) is own
    torch.testing.assert_close(own, fresh(SMALL) + 1)
    weights.zero_grad(set_to_none=False)
    assert torch.equal(step(weights, SMALL), fresh(SMALL))
    weights.zero_grad()
    assert step(weights, SMALL) is not own
    assert torch.equal(step(weights, SMALL), 2 * fresh(SMALL))


def test_random_steps_are_those_of_fresh_weights(weights: SharedWeights) -> None:
    rng = random.Random(0)
    for _ in range(40):
        chosen = [SPACE.sample(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        weights.zero_grad()
        assert torch.equal(step(weights, *chosen), fresh(*chosen))


def test_only_what_an_earlier_step_wrote_is_zeroed(weights: SharedWeights) -> None:
    """Shown by a mark that no rule finds: one element written through `.data`."""
    buffer = step(weights, SMALL)
    buffer.data[30, 5] = 42.0
    for architecture in (SMALL, of(24, 17)):
        weights.zero_grad()
        assert step(weights, architecture)[30, 5] == 42
    weights.zero_grad()
    assert step(weights, of(32, 33))[30, 5] != 42


def test_blocks_that_lie_apart() -> None:
    def gates(architecture: Architecture) -> nn.Module:
        return nn.LSTM(3, int(architecture["width"]))

    def stepped(weights: SharedWeights, width: int) -> dict[str, Tensor]:
        weights.borrow(Architecture({"width": width}))(inputs(2, 3))[0].sum().backward()
        found = {name: p.grad.clone() for name, p in weights.named_parameters() if p.grad is not None}
        weights.zero_grad()
        return found

    def made() -> SharedWeights:
        return randomise(SharedWeights(gates, space_of(width=Ordinal(2, 3, 5)), layouts={"*": Packed(4)}))

    reused = made()
    for width in (2, 5, 2, 3, 2, 2):
        found, expected = stepped(reused, width), stepped(made(), width)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
