"""What a backward pass puts aside arrives at its end, once, in bounded memory, and not if the pass fails."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import SharedWeights, late_gradients
from supernet.late_gradients import Waiting, waiting
from tests.supernet.toys import assert_same_gradients, gradients, inputs, randomise

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL, LARGE = (Architecture({"width": width}) for width in (24, 40))
LAYERS = 6


def build(architecture: Architecture) -> nn.Module:
    width = int(architecture["width"])
    middle = [nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.Tanh()) for _ in range(LAYERS)]
    return nn.Sequential(nn.Linear(20, width), *middle)


@pytest.fixture
def weights() -> SharedWeights:
    return randomise(SharedWeights(build, SearchSpace({"width": Ordinal(24, 32, 40)})))


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many elements waited at each delivery."""
    counts: list[int] = []
    deliver = Waiting.deliver

    def counted(self: Waiting) -> None:
        counts.append(self._held)
        deliver(self)

    monkeypatch.setattr(Waiting, "deliver", counted)
    return counts


def squared(module: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = module(x).square().sum()
    return out


def at_once(weights: SharedWeights, *losses: Any) -> dict[str, Tensor | None]:
    """The gradients if nothing waits; the weights are left without any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late_gradients, "SMALL", -1)
        for loss in losses:
            loss().backward()
    found = {name: None if g is None else g.clone() for name, g in gradients(weights).items()}
    weights.zero_grad()
    return found


class TestDelivery:
    def test_everything_arrives_at_the_end_and_as_the_same_bits(
        self, weights: SharedWeights, delivered: list[int]
    ) -> None:
        x = inputs(5, 20).requires_grad_()
        seen: list[bool] = []  # at the end of each pass, whether any gradient had arrived
        for architecture in (LARGE, SMALL, LARGE):
            subnet = weights.borrow(architecture)
            expected = at_once(weights, lambda module=subnet: squared(module, x))
            assert delivered == []
            hook = x.register_hook(lambda _: seen.append(any(p.grad is not None for p in weights.parameters())))
            squared(subnet, x).backward()
            hook.remove()
            assert len(delivered) == 1
            assert_same_gradients(gradients(weights), expected)
            weights.zero_grad()
            delivered.clear()
        assert seen == [False] * 3

    @pytest.mark.parametrize("pair", [(SMALL, LARGE), (LARGE, SMALL), (SMALL, SMALL)])
    def test_two_subnets_in_one_pass_add_up(
        self, weights: SharedWeights, delivered: list[int], pair: tuple[Architecture, Architecture]
    ) -> None:
        x = inputs(5, 20)
        first, second = map(weights.borrow, pair)
        expected = at_once(weights, lambda: squared(first, x), lambda: squared(second, 2 * x))
        (squared(first, x) + squared(second, 2 * x)).backward()
        assert len(delivered) == 1
        assert_same_gradients(gradients(weights), expected)

    def test_what_waits_is_bounded(
        self, weights: SharedWeights, delivered: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = inputs(50, 20)
        subnet = weights.borrow(LARGE)
        expected = at_once(weights, lambda: squared(subnet, x))
        one = 2 * 50 * 40  # what the product of one layer holds
        monkeypatch.setattr(late_gradients, "HELD_AT_MOST", 3 * one)
        squared(subnet, x).backward()
        assert len(delivered) > 1
        assert max(delivered) <= 4 * one
        assert_same_gradients(gradients(weights), expected)

    def test_what_is_large_does_not_wait(
        self, weights: SharedWeights, delivered: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = inputs(50, 20)
        subnet = weights.borrow(LARGE)
        expected = at_once(weights, lambda: squared(subnet, x))
        monkeypatch.setattr(late_gradients, "SMALL", 40)  # a bias or a normalisation's gradient
        squared(subnet, x).backward()
        assert max(delivered) <= (LAYERS * 2) * 40
        assert_same_gradients(gradients(weights), expected)

    def test_a_pass_on_another_thread_has_its_own(self, weights: SharedWeights) -> None:
        x = inputs(5, 20)
        others = [randomise(SharedWeights(build, weights.space)) for _ in range(4)]
        expected = at_once(weights, lambda: squared(weights.borrow(SMALL), x))

        def work(own: SharedWeights) -> None:
            for _ in range(20):
                own.zero_grad()
                squared(own.borrow(SMALL), x).backward()

        threads = [threading.Thread(target=work, args=(own,)) for own in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for own in others:
            assert_same_gradients(gradients(own), expected)

    def test_outside_of_a_pass_nothing_waits(self) -> None:
        assert waiting(1) is None


class _Fails(torch.autograd.Function):
    """The identity, whose backward fails."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx, gradient
        raise ArithmeticError("on purpose")


class TestFailure:
    @pytest.fixture(autouse=True)
    def passes(self) -> Iterator[None]:
        gc.collect()
        assert not late_gradients._by_pass
        yield
        gc.collect()
        assert not late_gradients._by_pass

    def test_what_waited_for_a_failed_pass_is_gone_and_the_next_one_is_right(
        self, weights: SharedWeights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = inputs(5, 20)
        subnet = weights.borrow(LARGE)
        expected = at_once(weights, lambda: squared(subnet, x))
        waited = []
        leave = Waiting.leave_products

        def noted(self: Waiting, *given: Any) -> None:
            waited.append(ref(self))
            leave(self, *given)

        monkeypatch.setattr(Waiting, "leave_products", noted)
        entered, *rest = subnet
        loss = nn.Sequential(*rest)(_Fails.apply(entered(x))).square().sum()  # type: ignore[no-untyped-call]
        with pytest.raises(ArithmeticError, match="on purpose"):
            loss.backward()
        del loss
        gc.collect()
        assert len(waited) == LAYERS
        assert all(one() is None for one in waited)
        assert all(p.grad is None for p in weights.parameters())
        squared(subnet, x).backward()
        assert_same_gradients(gradients(weights), expected)

    def test_a_product_that_fails_leaves_no_wrong_gradient(
        self, weights: SharedWeights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = inputs(5, 20)
        subnet = weights.borrow(LARGE)
        expected = at_once(weights, lambda: squared(subnet, x))
        mm, calls = torch.mm, []

        def failing(*given: Any, **named: Any) -> Tensor:
            calls.append(1)
            if len(calls) == 3:
                raise MemoryError("on purpose")
            return mm(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "mm", failing)
            with pytest.raises(MemoryError, match="on purpose"):
                squared(subnet, x).backward()
        assert all(p.grad is None for p in weights.parameters())
        squared(subnet, x).backward()
        assert_same_gradients(gradients(weights), expected)
