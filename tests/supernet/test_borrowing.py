"""A borrowed module refuses to be copied, and refuses every call once its shared tensors were replaced."""

from __future__ import annotations

import copy
import io
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.multiprocessing  # teaches the pickler how tensors are sent
from torch import nn

from supernet.errors import BorrowedModuleCopied, StaleBorrow, SupernetError
from tests.supernet.toys import assert_same_gradients, gradients, inputs, of_width, perceptrons

if TYPE_CHECKING:
    from collections.abc import Callable

    from supernet import SharedWeights


def _save(module: nn.Module) -> None:
    torch.save(module, io.BytesIO())


def _send(module: nn.Module) -> None:
    """As torch.multiprocessing puts it into a queue, which knows how parameters are shared."""
    ForkingPickler.dumps(module)


class TestCopies:
    @pytest.mark.parametrize("copying", [pickle.dumps, copy.deepcopy, _save, _send])
    def test_a_borrowed_module_refuses(self, copying: Callable[[nn.Module], Any]) -> None:
        weights = perceptrons()
        for victim in (weights.borrow(of_width(2)), weights.borrow(of_width(2)).hidden):
            with pytest.raises(BorrowedModuleCopied, match=r"cannot be (pickled|deep-copied).*extract"):
                copying(victim)

    @pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_so_does_a_parameter_of_one(self, copying: Callable[[nn.Parameter], Any]) -> None:
        for victim in perceptrons().borrow(of_width(2)).parameters():
            with pytest.raises(BorrowedModuleCopied):
                copying(victim)

    def test_an_extracted_module_does_not(self) -> None:
        module = perceptrons().extract(of_width(2))
        for twin in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
            assert torch.equal(twin(inputs(3, 5)), module(inputs(3, 5)))

    @pytest.mark.parametrize("copying", [copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))])
    def test_shared_weights_can_be_copied_and_work(self, copying: Callable[[SharedWeights], SharedWeights]) -> None:
        weights, x = perceptrons(), inputs(3, 5)
        subnet = weights.borrow(of_width(2))
        subnet(x).sum().backward()
        twin = copying(weights)
        assert torch.equal(twin.borrow(of_width(2))(x), subnet(x))
        twin.borrow(of_width(2))(x).sum().backward()
        assert_same_gradients(gradients(twin), gradients(weights))
        with torch.no_grad():
            twin.get_parameter("head.bias").add_(1)
        assert not torch.equal(twin.borrow(of_width(2))(x), subnet(x))  # each looks into its own
        stale = twin.borrow(of_width(2))
        twin.load_state_dict(weights.state_dict())
        with pytest.raises(StaleBorrow):
            stale(x)
        assert torch.equal(subnet(x), twin.borrow(of_width(2))(x))


def _load(weights: SharedWeights, **options: bool) -> None:
    weights.load_state_dict({name: value + 1 for name, value in weights.state_dict().items()}, **options)


def _load_with_a_mistake(weights: SharedWeights) -> None:
    with pytest.raises(RuntimeError, match="Unexpected key"):
        weights.load_state_dict({**weights.state_dict(), "other": torch.zeros(1)})


def _load_as_a_part(weights: SharedWeights) -> None:
    whole = nn.ModuleDict({"supernet": weights})
    whole.load_state_dict(whole.state_dict(), assign=True)


class TestStaleBorrows:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (lambda w: w.to("cpu"), r"to\(\)"),
            (lambda w: w.double(), r"to\(\)"),
            (lambda w: nn.ModuleDict({"supernet": w}).half(), r"to\(\)"),
            (_load, "load_state_dict"),
            (lambda w: _load(w, assign=True), "load_state_dict"),
            (_load_with_a_mistake, "load_state_dict"),
            (_load_as_a_part, "load_state_dict"),
        ],
    )
    def test_every_call_is_refused_and_a_new_borrow_works(
        self, change: Callable[[SharedWeights], Any], named: str
    ) -> None:
        weights, a, x = perceptrons(), of_width(2), inputs(3, 5)
        stale = weights.borrow(a)
        change(weights)
        with pytest.raises(StaleBorrow, match=f"before {named}.*borrow the architecture again"):
            stale(x)
        with pytest.raises(StaleBorrow):
            stale.hidden(x)
        assert all(p.is_meta for p in stale.parameters())  # nor can its parameters be read
        fresh = weights.borrow(a)
        x = x.to(next(weights.parameters()).dtype)
        assert torch.equal(fresh(x), weights.extract(a)(x))
        fresh(x).sum().backward()
        assert all(p.grad is not None for p in weights.parameters())

    def test_it_is_an_error_of_this_package(self) -> None:
        assert issubclass(StaleBorrow, SupernetError)

    def test_training_mode_is_no_such_change(self) -> None:
        weights = perceptrons()
        subnet = weights.borrow(of_width(2))
        weights.eval()
        subnet(inputs(3, 5))
