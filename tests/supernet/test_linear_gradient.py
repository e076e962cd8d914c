"""Weight gradients of borrowed linear maps are computed in the shared gradient; the out of the ordinary still works."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import SharedWeights, compression, late_gradients, linear_gradient
from supernet.errors import StaleBorrow
from supernet.shared_gradients import Place, SharedGradients
from tests.supernet.toys import assert_same_gradients, gradients, inputs, randomise, reference_gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL, LARGE = (Architecture({"width": width}) for width in (24, 40))
SPACE = SearchSpace({"width": Ordinal(24, 32, 40)})


class Deep(nn.Module):
    """Linear maps whose rows, columns or both are elastic, on samples with two leading axes; one is used twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(20, width)
        self.twice = nn.Linear(width, width, bias=False)
        self.leave = nn.Linear(width, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.enter(x))
        x = self.twice(torch.tanh(self.twice(x)))
        out: Tensor = self.leave(x)
        return out


def deep(architecture: Architecture) -> nn.Module:
    return Deep(int(architecture["width"]))


@pytest.fixture
def weights() -> SharedWeights:
    return randomise(SharedWeights(deep, SPACE))


@pytest.fixture
def x() -> Tensor:
    return inputs(3, 5, 20)


def squared(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return module(x).square().mean()


def wanted(weights: SharedWeights, architecture: Architecture, x: Tensor) -> dict[str, Tensor | None]:
    return reference_gradients(deep, weights, {architecture: lambda call: squared(call, x)})


@pytest.fixture(autouse=True, params=["late", "at once"])
def moment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small products wait for the end of the backward pass; large ones, and here all of them, do not."""
    if request.param == "at once":
        monkeypatch.setattr(late_gradients, "SMALL", -1)


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shared tensors whose gradient was computed in place."""
    names: list[str] = []
    known: dict[Place, str] = {}
    place, products = SharedGradients.place, linear_gradient._products

    def noted(self: SharedGradients, name: str, *rest: Any) -> Place:
        made = place(self, name, *rest)
        known[made] = name
        return made

    def computed(input: Tensor, gradient: Tensor, *places: Place | None) -> Iterator[Any]:
        names.extend(known[one] for one in places if one is not None)
        return products(input, gradient, *places)

    monkeypatch.setattr(SharedGradients, "place", noted)
    monkeypatch.setattr(linear_gradient, "_products", computed)
    return names


ALL = ["leave.weight", "leave.bias", "twice.weight", "twice.weight", "enter.weight", "enter.bias"]


class TestOrdinarySteps:
    @pytest.mark.parametrize("architecture", [SMALL, LARGE])
    @pytest.mark.parametrize("shape", [(3, 5, 20), (7, 20), (0, 20), (2, 1, 3, 20)])
    def test_gradients_are_those_of_autograd(
        self, weights: SharedWeights, in_place: list[str], architecture: Architecture, shape: tuple[int, ...]
    ) -> None:
        x = inputs(*shape)
        loss = lambda call: call(x).square().sum()  # noqa: E731
        loss(weights.borrow(architecture)).backward()
        assert in_place == ALL
        # A map that is used twice is added in another order.
        assert_same_gradients(
            gradients(weights), reference_gradients(deep, weights, {architecture: loss}), rtol=1e-5, atol=1e-6
        )

    def test_where_every_map_is_used_once_they_are_the_same_bits(self, in_place: list[str]) -> None:
        def build(architecture: Architecture) -> nn.Module:
            width = int(architecture["width"])
            return nn.Sequential(nn.Linear(20, width), nn.Tanh(), nn.Linear(width, 16))

        weights, x = randomise(SharedWeights(build, SPACE)), inputs(3, 5, 20)
        for architecture in (SMALL, LARGE, SMALL):
            weights.zero_grad()
            loss = lambda call: call(x).square().sum()  # noqa: E731
            loss(weights.borrow(architecture)).backward()
            assert_same_gradients(gradients(weights), reference_gradients(build, weights, {architecture: loss}))
        assert len(in_place) == 12

    def test_several_subnets_and_backwards_add_up(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        total = {name: torch.zeros_like(p) for name, p in weights.named_parameters()}
        for architecture in (SMALL, LARGE, SMALL):
            for name, gradient in wanted(weights, architecture, x).items():
                assert gradient is not None
                total[name] += gradient
            squared(weights.borrow(architecture), x).backward()
        assert in_place == ALL * 3
        assert_same_gradients(gradients(weights), total, rtol=1e-5, atol=1e-6)

    def test_a_graph_that_is_kept_can_be_walked_twice(self, weights: SharedWeights, x: Tensor) -> None:
        loss = squared(weights.borrow(SMALL), x)
        loss.backward(retain_graph=True)
        once = gradients(weights)
        loss.backward()
        double = {name: None if g is None else 2 * g for name, g in once.items()}
        assert_same_gradients(gradients(weights), double, rtol=1e-5, atol=1e-7)

    def test_small_maps_are_left_to_autograd(self, in_place: list[str]) -> None:
        weights = SharedWeights(lambda a: nn.Linear(int(a["width"]), 4), SPACE)
        weights.borrow(SMALL)(inputs(2, 24)).sum().backward()
        assert in_place == []
        assert weights.get_parameter("weight").grad is not None


class Sizes(TorchDispatchMode):
    """The numbers of elements of every tensor that an operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        before = {id(a) for a in args if isinstance(a, Tensor)}
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor) and not one._is_view() and id(one) not in before and one._base is None:
                given = (kwargs or {}).get("out")
                if given is None and one.untyped_storage().nbytes() == one.nbytes:
                    self.seen.append((str(func), one.numel()))
        return out

    def of(self, size: int) -> list[str]:
        return [name for name, elements in self.seen if elements == size]


class TestAllocations:
    STORE, SLICE = 71 * 67, 35 * 33  # numbers that no other tensor here has

    @pytest.fixture
    def wide(self) -> SharedWeights:
        def build(architecture: Architecture) -> nn.Module:
            return nn.Linear(33 if architecture["half"] else 67, 35 if architecture["half"] else 71)

        return SharedWeights(build, SearchSpace({"half": Ordinal(0, 1)}))

    def sizes(self, wide: SharedWeights) -> Sizes:
        subnet = wide.borrow(Architecture({"half": 1}))
        with Sizes() as sizes:
            subnet(inputs(5, 33)).sum().backward()
        return sizes

    def test_the_shared_gradient_is_allocated_once_and_a_slice_of_it_never(self, wide: SharedWeights) -> None:
        first = self.sizes(wide)
        assert first.of(self.STORE) == ["aten.zeros_like.default"]
        assert first.of(self.SLICE) == []
        buffer = wide.get_parameter("weight").grad
        assert buffer is not None
        for _ in range(3):
            wide.zero_grad()
            again = self.sizes(wide)
            assert again.of(self.STORE) == again.of(self.SLICE) == []
            assert wide.get_parameter("weight").grad is buffer

    def test_autograd_alone_would_allocate_slices(self, wide: SharedWeights, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that the test above can fail."""
        monkeypatch.setattr(linear_gradient, "SMALLEST_SIDE", 1000)
        self.sizes(wide)
        wide.zero_grad()
        again = self.sizes(wide)
        assert again.of(self.SLICE) != []
        assert again.of(self.STORE) == []  # but never the whole


class TestOutOfTheOrdinary:
    def test_double_backward(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        alone = weights.extract(SMALL)
        second = []
        for module in (weights.borrow(SMALL), alone):
            parameters = list(module.parameters())
            first = torch.autograd.grad(squared(module, x), parameters, create_graph=True)
            second.append(torch.autograd.grad(sum(g.square().sum() for g in first), parameters))
        for ours, theirs in zip(*second, strict=True):
            torch.testing.assert_close(ours, theirs)
        with warnings.catch_warnings():  # torch warns of a reference cycle, once in a process
            warnings.filterwarnings("ignore", message=".*create_graph=True", category=UserWarning)
            squared(weights.borrow(SMALL), x).backward(create_graph=True)
        assert in_place == []
        assert_same_gradients(gradients(weights), wanted(weights, SMALL, x), rtol=1e-5, atol=1e-7)

    def test_autograd_grad_takes_the_gradients_away(
        self, weights: SharedWeights, x: Tensor, in_place: list[str]
    ) -> None:
        subnet = weights.borrow(SMALL)
        found = torch.autograd.grad(squared(subnet, x), list(subnet.parameters()))
        theirs = weights.extract(SMALL)
        squared(theirs, x).backward()
        for ours, parameter in zip(found, theirs.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter.grad)
        assert in_place == []
        assert all(p.grad is None for p in weights.parameters())

    def test_gradients_of_the_inputs_alone(self, weights: SharedWeights, x: Tensor) -> None:
        x.requires_grad_()
        (found,) = torch.autograd.grad(squared(weights.borrow(SMALL), x), [x])
        squared(weights.borrow(SMALL), x).backward(inputs=[x])
        squared(weights.extract(SMALL), x.detach().requires_grad_())
        assert x.grad is not None
        assert torch.equal(found, x.grad)
        assert all(p.grad is None for p in weights.parameters())

    def test_backward_to_chosen_parameters(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        subnet = weights.borrow(SMALL)
        squared(subnet, x).backward(inputs=[subnet.get_parameter("leave.weight")])
        assert in_place == ["leave.weight"]
        expected = wanted(weights, SMALL, x)
        found = gradients(weights)
        assert [name for name, gradient in found.items() if gradient is not None] == ["leave.weight"]
        torch.testing.assert_close(found["leave.weight"], expected["leave.weight"])

    def test_hooks_on_a_parameter_see_and_change_its_gradient(self, weights: SharedWeights, x: Tensor) -> None:
        subnet, seen = weights.borrow(SMALL), []
        subnet.get_parameter("leave.weight").register_hook(lambda g: g * 2)
        subnet.get_parameter("twice.weight").register_post_accumulate_grad_hook(lambda p: seen.append(p.shape))
        squared(subnet, x).backward()
        expected = wanted(weights, SMALL, x)
        assert expected["leave.weight"] is not None
        expected["leave.weight"] = expected["leave.weight"] * 2
        assert_same_gradients(gradients(weights), expected, rtol=1e-5, atol=1e-7)
        assert seen == [(24, 24)]

    def test_autocast(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        alone = weights.extract(SMALL)
        for module in (weights.borrow(SMALL), alone):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = squared(module, x).float()
            loss.backward()
        assert in_place == []
        for name, parameter in alone.named_parameters():
            found = weights.get_parameter(name).grad
            assert found is not None
            assert torch.equal(found[tuple(slice(n) for n in parameter.shape)], parameter.grad)

    def test_transforms(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        borrowed, alone = weights.borrow(SMALL), weights.extract(SMALL)
        per_sample = [torch.func.vmap(torch.func.grad(lambda one, m=m: squared(m, one)))(x) for m in (borrowed, alone)]
        torch.testing.assert_close(*per_sample)
        rows = [torch.func.jacrev(lambda one, m=m: m(one).sum((0, 1)))(x) for m in (borrowed, alone)]
        torch.testing.assert_close(*rows)
        own = dict(borrowed.named_parameters())
        found = torch.func.grad(lambda p: squared(lambda one: torch.func.functional_call(borrowed, p, (one,)), x))(own)
        squared(alone, x).backward()
        for name, parameter in alone.named_parameters():
            torch.testing.assert_close(found[name], parameter.grad)
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)  # torch's own
            tangents = [forward_ad.unpack_dual(m(forward_ad.make_dual(x, x))).tangent for m in (borrowed, alone)]
        torch.testing.assert_close(*tangents)
        assert in_place == []

    @pytest.mark.parametrize("reentrant", [True, False])
    def test_recomputed_activations(
        self, weights: SharedWeights, x: Tensor, in_place: list[str], reentrant: bool
    ) -> None:
        x.requires_grad_()
        subnet = weights.borrow(SMALL)
        checkpoint(subnet, x, use_reentrant=reentrant).square().mean().backward()
        assert in_place == ALL
        assert_same_gradients(gradients(weights), wanted(weights, SMALL, x.detach()), rtol=1e-5, atol=1e-7)

    def test_without_gradients_nothing_is_remembered(self, weights: SharedWeights, x: Tensor) -> None:
        subnet, alone = weights.borrow(SMALL), weights.extract(SMALL)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                assert subnet(x).grad_fn is None
                assert torch.equal(subnet(x), alone(x))
        assert torch.equal(subnet(x), alone(x))

    def test_frozen_weights(self, weights: SharedWeights, x: Tensor, in_place: list[str]) -> None:
        weights.get_parameter("twice.weight").requires_grad_(False)
        subnet = weights.borrow(SMALL)
        subnet.get_parameter("leave.weight").requires_grad_(False)
        squared(subnet, x).backward()
        assert in_place == ["enter.weight", "enter.bias"]
        found = {name for name, gradient in gradients(weights).items() if gradient is not None}
        assert found == {"enter.weight", "enter.bias", "leave.bias"}

    def test_quantized_and_parametrized_maps_use_their_own_weights(
        self, weights: SharedWeights, x: Tensor, in_place: list[str]
    ) -> None:
        class Doubled(nn.Module):
            def forward(self, weight: Tensor) -> Tensor:
                return 2 * weight

        modules = [weights.borrow(SMALL), weights.extract(SMALL)]
        for module in modules:
            compression.apply(module, compression.Policy(bits={"enter": 8}))
            parametrize.register_parametrization(module.get_submodule("leave"), "weight", Doubled())
            squared(module, x).backward()
        assert torch.equal(modules[0](x), modules[1](x))
        assert in_place == ["twice.weight"] * 2  # a quantized or parametrized map is not ours
        for name, parameter in modules[1].named_parameters():
            found = weights.get_parameter(name.replace("parametrizations.weight.original", "weight")).grad
            assert found is not None
            torch.testing.assert_close(found[tuple(slice(n) for n in parameter.shape)], parameter.grad)

    def test_a_tied_table_gets_both_gradients(self, in_place: list[str]) -> None:
        class Tied(nn.Module):
            def __init__(self, width: int) -> None:
                super().__init__()
                self.embed = nn.Embedding(17, width)
                self.head = nn.Linear(width, 17, bias=False)
                self.head.weight = self.embed.weight

            def forward(self, tokens: Tensor) -> Tensor:
                out: Tensor = self.head(self.embed(tokens))
                return out

        def build(architecture: Architecture) -> nn.Module:
            return Tied(int(architecture["width"]))

        ties, tokens = randomise(SharedWeights(build, SPACE)), torch.tensor([[1, 5, 1], [16, 0, 2]])
        for _ in range(2):
            ties.zero_grad()
            ties.borrow(SMALL)(tokens).square().sum().backward()
            expected = reference_gradients(build, ties, {SMALL: lambda call: call(tokens).square().sum()})
            assert_same_gradients(gradients(ties), expected, rtol=1e-5, atol=1e-6)
        assert in_place == ["embed.weight"] * 2

    def test_export_and_compilation_see_a_plain_module(self, weights: SharedWeights, x: Tensor) -> None:
        borrowed, alone = weights.borrow(SMALL), weights.extract(SMALL)
        for module in (alone, borrowed):
            exported = torch.export.export(module, (x,))
            assert not [node for node in exported.graph.nodes if "_Linear" in str(node.target)]
            torch.testing.assert_close(exported.module()(x), alone(x))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.trace", category=DeprecationWarning)
            scripted = torch.jit.trace(borrowed, (x,), check_trace=False)  # type: ignore[no-untyped-call]
        assert "_Linear" not in str(scripted.inlined_graph)
        for traced in (torch.compile(borrowed, backend="eager"), scripted):
            weights.zero_grad()
            squared(traced, x).backward()
            assert_same_gradients(gradients(weights), wanted(weights, SMALL, x), rtol=1e-5, atol=1e-7)

    def test_changes_of_the_shared_weights_between_forward_and_backward(
        self, weights: SharedWeights, x: Tensor
    ) -> None:
        subnet = weights.borrow(SMALL)
        loss = squared(subnet, x)
        weights.double()
        with pytest.raises(StaleBorrow):
            subnet(x)
        loss.backward()  # as if autograd had added them up: into the tensors that there are now
        assert all(p.grad is not None and p.grad.dtype == torch.float64 for p in weights.parameters())

    def test_a_write_into_weights_that_the_backward_needs_is_noticed(self, weights: SharedWeights, x: Tensor) -> None:
        loss = squared(weights.borrow(SMALL), x)
        with torch.no_grad():
            weights.get_parameter("twice.weight").mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
