"""The state contract of borrowed modules: private buffers, tied weights, gradients that stay attached."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Categorical
from supernet import SharedWeights
from supernet.skeleton import Skeleton, build_skeleton
from tests.supernet.toys import (
    Perceptron,
    assert_same_gradients,
    gradients,
    inputs,
    of_width,
    perceptron,
    perceptrons,
    randomise,
    reference_gradients,
    space_of,
    width_space,
)


def fused_adamw(weights: nn.Module, **options: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(weights.parameters(), fused=True, **options)  # type: ignore[arg-type]


class Normed(nn.Module):
    """Running statistics, a constant of its width, a value computed from its weights, and a plain attribute."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(5, width)
        self.norm = nn.BatchNorm1d(width)
        self.register_buffer("ramp", torch.arange(width).float())
        self.register_buffer("start", self.inner.weight.detach().abs().sum())
        self.scale = torch.full((width,), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.inner(x)) * self.scale + self.ramp + self.start
        return out


def normed(architecture: Architecture) -> nn.Module:
    return Normed(int(architecture["width"]))


@pytest.fixture
def norms() -> SharedWeights:
    return randomise(SharedWeights(normed, width_space()))


class TestBuffers:
    def test_all_have_values_and_none_is_shared(self, norms: SharedWeights) -> None:
        first, second, extracted = norms.borrow(of_width(3)), norms.borrow(of_width(3)), norms.extract(of_width(3))
        for module in (first, second, extracted):
            assert not any(buffer.is_meta for buffer in module.buffers())
            assert module.get_buffer("ramp").tolist() == [0, 1, 2]
            assert module.get_buffer("start") > 0
        storages = [b.data_ptr() for module in (first, second, extracted) for b in module.buffers()]
        assert len(set(storages)) == len(storages)
        assert first.scale.data_ptr() != second.scale.data_ptr()

    def test_running_statistics_are_private_to_each_borrow(self, norms: SharedWeights) -> None:
        a, x = of_width(3), inputs(6, 5)
        first, second = norms.borrow(a), norms.borrow(a)
        first(x)
        assert first.norm.num_batches_tracked == 1
        assert second.norm.num_batches_tracked == 0
        assert torch.equal(second.norm.running_mean, torch.zeros(3))
        for later in (norms.borrow(a), norms.extract(a)):  # what the cache keeps has seen nothing either
            assert later.norm.num_batches_tracked == 0

    def test_they_are_no_part_of_the_shared_state(self, norms: SharedWeights) -> None:
        assert not list(norms.buffers())
        assert norms.state_dict().keys() == {"inner.weight", "inner.bias", "norm.weight", "norm.bias"}

    def test_they_follow_a_cast_of_the_weights(self, norms: SharedWeights) -> None:
        norms.double()
        for module in (norms.borrow(of_width(3)), norms.extract(of_width(3))):
            assert module.norm.running_mean.dtype == torch.float64
            assert module.norm.num_batches_tracked.dtype == torch.int64
            assert module(inputs(4, 5).double()).dtype == torch.float64

    def test_modules_take_over_the_training_mode(self, norms: SharedWeights) -> None:
        for mode in (False, True):
            norms.train(mode)
            assert norms.borrow(of_width(2)).norm.training is mode
            assert norms.extract(of_width(2)).norm.training is mode

    def test_a_module_may_keep_a_part_in_evaluation_mode(self) -> None:
        weights = SharedWeights(lambda architecture: Frozen(int(architecture["width"])), width_space())
        for module in (weights.borrow(of_width(2)), weights.extract(of_width(2))):
            assert module.training
            assert module.inner.training
            assert not module.norm.training
        weights.eval()
        assert not weights.borrow(of_width(2)).inner.training


class Frozen(nn.Module):
    """Its norm never learns statistics."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(5, width), nn.BatchNorm1d(width)

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, width)
        self.head = nn.Linear(width, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(tokens))
        return logits


class TestTiedWeights:
    TOKENS = torch.tensor([1, 5, 1])

    @pytest.fixture
    def ties(self) -> SharedWeights:
        return randomise(SharedWeights(self.build, width_space()))

    @staticmethod
    def build(architecture: Architecture) -> nn.Module:
        return Tied(int(architecture["width"]))

    def test_they_are_one_tensor_counted_once_and_bound_in_both_places(self, ties: SharedWeights) -> None:
        assert ties.state_dict().keys() == {"embed.weight"}
        assert ties.shapes(of_width(3)) == {"embed.weight": (7, 3)}
        for module in (ties.borrow(of_width(3)), ties.extract(of_width(3))):
            assert module.embed.weight is module.head.weight
            assert len(list(module.parameters())) == 1

    def test_their_gradients_add_up(self, ties: SharedWeights) -> None:
        a = of_width(3)
        ties.borrow(a)(self.TOKENS).square().sum().backward()
        wanted = reference_gradients(self.build, ties, {a: lambda call: call(self.TOKENS).square().sum()})
        assert_same_gradients(gradients(ties), wanted, rtol=1e-6, atol=1e-6)

    def test_outputs_are_those_of_a_hand_sliced_module(self, ties: SharedWeights) -> None:
        weight = ties.state_dict()["embed.weight"][:, :2]
        wanted = weight[self.TOKENS] @ weight.T
        torch.testing.assert_close(ties.borrow(of_width(2))(self.TOKENS).detach(), wanted)


class TestGradientsStayAttached:
    def test_zero_grad_between_borrow_and_backward(self) -> None:
        a, x = of_width(2), inputs(3, 5)
        wanted = reference_gradients(perceptron, perceptrons(), {a: lambda call: call(x).square().sum()})
        for set_to_none in (True, False):
            for victim in ("weights", "subnet", "both"):
                weights = perceptrons()
                weights.borrow(a)(x).sum().backward()  # leaves gradients and buffers behind
                subnet = weights.borrow(a)
                loss = subnet(x).square().sum()
                if victim != "subnet":
                    weights.zero_grad(set_to_none=set_to_none)
                if victim != "weights":
                    subnet.zero_grad(set_to_none=set_to_none)
                if victim == "subnet":
                    weights.zero_grad()
                loss.backward()
                assert_same_gradients(gradients(weights), wanted)

    def test_backward_that_keeps_its_graph(self) -> None:
        a, x = of_width(2), inputs(3, 5)
        weights = perceptrons()
        wanted = reference_gradients(perceptron, weights, {a: lambda call: call(x).square().sum()})
        for architecture in (a, of_width(4)):  # sliced and whole tensors
            weights.zero_grad()
            subnet = weights.borrow(architecture)
            loss = subnet(x).square().sum()
            with warnings.catch_warnings():  # torch warns of a reference cycle, once in a process
                warnings.filterwarnings("ignore", message=".*create_graph=True", category=UserWarning)
                loss.backward(create_graph=True)
            assert all(p.grad is not None and not p.grad.requires_grad for p in weights.parameters())
            if architecture == a:
                assert_same_gradients(gradients(weights), wanted)
            subnet(x).square().sum().backward()  # and the next one is ordinary again
            double = {name: None if g is None else 2 * g for name, g in wanted.items()}
            if architecture == a:
                assert_same_gradients(gradients(weights), double)

    def test_autograd_grad_returns_the_subnets_gradients_and_leaves_the_shared_ones_alone(self) -> None:
        weights, x = perceptrons(), inputs(3, 5)
        subnet, alone = weights.borrow(of_width(2)), weights.extract(of_width(2))
        found = torch.autograd.grad(subnet(x).square().sum(), list(subnet.parameters()))
        alone(x).square().sum().backward()
        assert all(torch.equal(g, p.grad) for g, p in zip(found, alone.parameters(), strict=True))  # type: ignore[arg-type]
        assert all(p.grad is None for p in [*weights.parameters(), *subnet.parameters()])

    def test_an_old_gradient_is_not_the_buffer_of_weights_that_were_moved(self) -> None:
        weights, x = perceptrons(), inputs(3, 5)
        weights.borrow(of_width(2))(x).sum().backward()
        weights.zero_grad()
        weights.double()
        weights.borrow(of_width(2))(x.double()).sum().backward()
        assert all(p.grad is not None and p.grad.dtype == torch.float64 for p in weights.parameters())

    def test_frozen_parameters_get_none(self) -> None:
        def build(architecture: Architecture) -> nn.Module:
            module = perceptron(architecture)
            module.get_parameter("hidden.bias").requires_grad_(False)
            return module

        weights = randomise(SharedWeights(build, width_space()))
        weights.get_parameter("head.weight").requires_grad_(False)  # frozen by the person who trains
        subnet = weights.borrow(of_width(2))
        subnet(inputs(3, 5)).sum().backward()
        without = {name for name, gradient in gradients(weights).items() if gradient is None}
        assert without == {"hidden.bias", "head.weight"}
        assert {n for n, p in subnet.named_parameters() if not p.requires_grad} == without
        frozen = weights.extract(of_width(2))
        assert {n for n, p in frozen.named_parameters() if not p.requires_grad} == {"hidden.bias"}

    @pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
    def test_subnets_made_while_evaluating_can_be_trained(self, mode: Callable[[], Any]) -> None:
        with mode():
            weights = SharedWeights(normed, width_space())
            borrowed, extracted = weights.borrow(of_width(2)), weights.extract(of_width(2))
            borrowed(inputs(3, 5))
        for module in (borrowed, extracted, weights.borrow(of_width(2))):
            module(inputs(3, 5)).square().sum().backward()
        assert all(p.grad is not None for p in [*weights.parameters(), *extracted.parameters()])


class TestOptimizerSteps:
    def test_tensors_that_a_step_did_not_use_are_not_moved(self) -> None:
        def build(architecture: Architecture) -> nn.Module:
            return nn.ModuleDict({str(architecture["kind"]): nn.Linear(2, 2)})

        weights = SharedWeights(build, space_of(kind=Categorical("left", "right")))
        optimizer = fused_adamw(weights, weight_decay=0.5, lr=0.1)
        for kind in ("left", "right", "left"):  # with momentum from an earlier step as well
            before = {name: value.clone() for name, value in weights.state_dict().items()}
            optimizer.zero_grad()
            weights.borrow(Architecture({"kind": kind}))[kind](inputs(3, 2)).sum().backward()
            optimizer.step()
            for name, value in weights.state_dict().items():
                assert torch.equal(value, before[name]) != name.startswith(kind), name

    def test_a_step_moves_a_borrowed_module_as_it_moves_a_plain_one(self) -> None:
        """Of the largest architecture, whose tensors are whole, ten steps give bit-equal weights."""
        weights, a = perceptrons(), of_width(4)
        plain = weights.extract(a)
        ours, theirs = fused_adamw(weights), fused_adamw(plain)
        for seed in range(10):
            x = inputs(6, 5, seed=seed)
            for optimizer, module in ((ours, weights.borrow(a)), (theirs, plain)):
                optimizer.zero_grad()
                module(x).square().sum().backward()
                optimizer.step()
        for name, value in plain.state_dict().items():
            assert torch.equal(value, weights.state_dict()[name]), name


class TestCache:
    def test_it_is_bounded_and_forgets_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weights = perceptrons(cache_size=2)
        built: list[int] = []

        def counted(build: Any, architecture: Architecture, seed: int) -> Skeleton:
            built.append(int(architecture["width"]))
            return build_skeleton(build, architecture, seed)

        monkeypatch.setattr("supernet.shared_weights.build_skeleton", counted)
        for width in (2, 3, 2, 4, 2, 3):
            weights.borrow(of_width(width))
        assert built == [2, 3, 4, 3]
        assert len(weights._cache) == 2

    def test_it_holds_skeletons_and_no_weights(self) -> None:
        weights = perceptrons()
        weights.borrow(of_width(2))(inputs(3, 5))
        for plan in weights._cache.values():
            assert all(parameter.is_meta for parameter in plan.skeleton.module.parameters())

    def test_without_one_everything_works(self) -> None:
        weights = perceptrons(cache_size=0)
        assert torch.equal(weights.borrow(of_width(2))(inputs(3, 5)), weights.extract(of_width(2))(inputs(3, 5)))

    def test_nothing_keeps_a_borrowed_module_alive(self) -> None:
        weights = perceptrons()
        subnet = weights.borrow(of_width(2))
        subnet(inputs(3, 5)).sum().backward()
        gone = weakref.ref(subnet)
        del subnet
        gc.collect()
        assert gone() is None


class Unfortunate(nn.Module):
    """A model whose parts are called as attributes of SharedWeights."""

    NAMES = ("space", "borrow", "shapes", "extract", "_build", "_cache", "_shared", "_borrows")

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, width), nn.Linear(width, 2))
        for name in self.NAMES:
            self.add_module(name, nn.Linear(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        for name in self.NAMES:
            x = self.get_submodule(name)(x)
        return x


def test_submodules_may_be_called_as_our_attributes() -> None:
    weights = randomise(SharedWeights(_unfortunate, width_space()))
    assert {name.split(".")[0] for name in weights.state_dict()} == {"layers", *Unfortunate.NAMES}
    for each in (weights, copy.deepcopy(weights), pickle.loads(pickle.dumps(weights))):
        each.float()
        x = inputs(3, 5)
        each.borrow(of_width(2))(x).sum().backward()
        assert all(p.grad is not None for p in each.parameters())
        assert torch.equal(each.borrow(of_width(2))(x), weights.extract(of_width(2))(x))


def _unfortunate(architecture: Architecture) -> nn.Module:
    return Unfortunate(int(architecture["width"]))


def test_a_user_error_inside_a_borrowed_module_leaves_it_usable() -> None:
    weights = perceptrons()
    subnet = weights.borrow(of_width(2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        subnet(inputs(3, 4))
    assert isinstance(subnet, Perceptron)
    subnet(inputs(3, 5))
