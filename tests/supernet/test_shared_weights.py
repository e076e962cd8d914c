"""What borrowed and extracted subnets compute, and where their gradients go."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from search_spaces import (
    Architecture,
    InvalidArchitecture,
    load_space,
)
from supernet import SharedWeights, load_task
from supernet.errors import ShapeTooLarge, UnknownParameter
from supernet.models.registry import load_builder
from supernet.tasks.task import Task
from supernet.tasks.task import loss as task_loss
from tests.supernet.toys import (
    Loss,
    assert_same_gradients,
    gradients,
    inputs,
    of_width,
    perceptron,
    perceptrons,
    randomise,
    reference_gradients,
    width_space,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from supernet.skeleton import Build

SPACE = load_space("vision_transformer")
ARCHITECTURES = [SPACE.sample(random.Random(seed)) for seed in range(200)]


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="module")
def build(digits: Task) -> Build:
    return load_builder("vision_transformer", digits)


@pytest.fixture(scope="module")
def transformers(build: Build) -> SharedWeights:
    """The whole default space with every parameter drawn anew."""
    return randomise(SharedWeights(build, SPACE, cache_size=256))


@pytest.fixture
def fresh(transformers: SharedWeights) -> SharedWeights:
    transformers.zero_grad()
    return transformers


def loss_on(task: Task, start: int, count: int = 5) -> Loss:
    images, targets = task.train.inputs[start : start + count], task.train.targets[start : start + count]
    return lambda call: task_loss(call(images), targets)


@pytest.mark.slow
def test_given_values_are_looked_into_and_nothing_is_probed(transformers: SharedWeights, digits: Task) -> None:
    """As a worker does that maps the weights of another process."""
    values = {name: parameter.detach() for name, parameter in transformers.named_parameters()}
    built: list[Architecture] = []

    def counting(architecture: Architecture) -> nn.Module:
        built.append(architecture)
        return load_builder("vision_transformer", digits)(architecture)

    other = SharedWeights(counting, SPACE, values=values)
    assert not built
    assert [parameter.data_ptr() for parameter in other.parameters()] == [value.data_ptr() for value in values.values()]
    assert not any(parameter.requires_grad for parameter in other.parameters())
    images = digits.example(2)
    with torch.no_grad():
        for architecture in ARCHITECTURES[:10]:
            assert torch.equal(other.borrow(architecture)(images), transformers.borrow(architecture)(images))


class TestOutputs:
    @pytest.mark.slow
    def test_borrowed_and_extracted_are_bit_equal_for_200_architectures(
        self, transformers: SharedWeights, digits: Task
    ) -> None:
        images = digits.example(3)
        outputs = []
        with torch.no_grad():
            for architecture in ARCHITECTURES:
                borrowed = transformers.borrow(architecture)(images)
                assert torch.equal(borrowed, transformers.extract(architecture)(images)), architecture.to_json()
                outputs.append(borrowed)
        assert len({tuple(out.flatten().tolist()) for out in outputs}) == len(set(ARCHITECTURES))

    def test_they_are_those_of_a_module_with_ordinary_slices(
        self, transformers: SharedWeights, build: Build, digits: Task
    ) -> None:
        images, shared = digits.example(3), transformers.state_dict()
        for architecture in ARCHITECTURES[:20]:
            module = build(architecture)
            module.load_state_dict(
                {
                    name: shared[name][tuple(slice(n) for n in value.shape)]
                    for name, value in module.state_dict().items()
                }
            )
            with torch.no_grad():
                assert torch.equal(module(images), transformers.borrow(architecture)(images))

    def test_borrowed_modules_follow_the_weights_and_extracted_ones_do_not(self) -> None:
        weights, x = perceptrons(), inputs(3, 5)
        borrowed, extracted = weights.borrow(of_width(2)), weights.extract(of_width(2))
        before = borrowed(x)
        with torch.no_grad():
            for parameter in weights.parameters():
                parameter.mul_(2)
        assert not torch.equal(borrowed(x), before)
        assert torch.equal(extracted(x), before)
        assert torch.equal(borrowed(x), weights.extract(of_width(2))(x))


class TestGradients:
    @pytest.mark.slow
    def test_they_equal_autograd_through_ordinary_slices(
        self, fresh: SharedWeights, build: Build, digits: Task
    ) -> None:
        for architecture in ARCHITECTURES[:30]:
            fresh.zero_grad()
            loss = loss_on(digits, 0)
            loss(fresh.borrow(architecture)).backward()
            assert_same_gradients(gradients(fresh), reference_gradients(build, fresh, {architecture: loss}))

    def test_they_reach_exactly_the_borrowed_slices(self, fresh: SharedWeights, digits: Task) -> None:
        for architecture in ARCHITECTURES[30:50]:
            fresh.zero_grad()
            loss_on(digits, 0)(fresh.borrow(architecture)).backward()
            shapes = fresh.shapes(architecture)
            for name, gradient in gradients(fresh).items():
                assert (gradient is not None) == (name in shapes), name
                if gradient is not None:
                    outside = torch.ones(gradient.shape, dtype=torch.bool)
                    outside[tuple(slice(n) for n in shapes[name])] = False
                    assert not gradient[outside].any(), name
                    assert gradient[~outside].any() or name.endswith("key.bias"), name

    def test_several_subnets_of_one_step_add_up(self, fresh: SharedWeights, build: Build, digits: Task) -> None:
        chosen = [SPACE.largest(), SPACE.smallest(), *ARCHITECTURES[:2]]
        losses = {architecture: loss_on(digits, 5 * n) for n, architecture in enumerate(chosen)}
        for architecture, loss in losses.items():
            loss(fresh.borrow(architecture)).backward()
        wanted = reference_gradients(build, fresh, losses)
        assert_same_gradients(gradients(fresh), wanted, rtol=1e-5, atol=1e-6)  # another order of summing

    def test_two_backwards_accumulate(self, fresh: SharedWeights, digits: Task) -> None:
        for architecture in (SPACE.smallest(), SPACE.largest()):
            fresh.zero_grad()
            subnet, loss = fresh.borrow(architecture), loss_on(digits, 0)
            loss(subnet).backward()
            once = gradients(fresh)
            loss(subnet).backward()
            twice = {name: None if value is None else value * 2 for name, value in once.items()}
            assert_same_gradients(gradients(fresh), twice)

    def test_a_reused_buffer_keeps_nothing_of_the_step_before(self, fresh: SharedWeights, digits: Task) -> None:
        small = ARCHITECTURES[3]
        loss_on(digits, 0)(fresh.borrow(small)).backward()
        alone = gradients(fresh)
        for other in (*ARCHITECTURES[4:8], SPACE.largest()):
            fresh.zero_grad()
            loss_on(digits, 0)(fresh.borrow(other)).backward()
            fresh.zero_grad()
            loss_on(digits, 0)(fresh.borrow(small)).backward()
            assert_same_gradients(gradients(fresh), alone)

    def test_a_summed_loss_of_two_borrows_of_one_architecture(self) -> None:
        weights, a = perceptrons(), of_width(3)
        first, second = weights.borrow(a), weights.borrow(a)
        (first(inputs(4, 5)).sum() + second(inputs(4, 5, seed=3)).sum()).backward()
        losses: Loss = lambda call: call(inputs(4, 5)).sum() + call(inputs(4, 5, seed=3)).sum()  # noqa: E731
        wanted = reference_gradients(perceptron, weights, {a: losses})
        assert_same_gradients(gradients(weights), wanted, rtol=1e-6, atol=1e-6)

    def test_sparse_gradients_of_embeddings_arrive(self) -> None:
        def embedding(architecture: Architecture) -> nn.Module:
            return nn.Embedding(6, int(architecture["width"]), sparse=True)

        weights = SharedWeights(embedding, width_space())
        for _ in range(2):
            weights.borrow(of_width(2))(torch.tensor([1, 1, 4])).sum().backward()
        gradient = weights.get_parameter("weight").grad
        assert gradient is not None
        assert gradient.tolist() == [[n, n, 0, 0] for n in (0, 4, 0, 0, 2, 0)]


class TestRefusals:
    def test_an_architecture_of_another_space(self) -> None:
        weights = perceptrons()
        for ask in (weights.borrow, weights.extract, weights.shapes):
            with pytest.raises(InvalidArchitecture, match="5"):
                ask(of_width(5))
            with pytest.raises(InvalidArchitecture, match="expected an Architecture, got dict"):
                ask({"width": 2})  # type: ignore[arg-type]

    @pytest.mark.parametrize("ask", ["borrow", "extract", "shapes"])
    def test_an_unknown_name_lists_the_nearest(self, ask: str) -> None:
        weights = _changed_afterwards(lambda width: nn.ModuleDict({"hiden": nn.Linear(5, width)}))
        with pytest.raises(UnknownParameter, match=r"named 'hiden.weight' \(nearest: hidden.weight"):
            getattr(weights, ask)(of_width(2))

    @pytest.mark.parametrize("ask", ["borrow", "extract", "shapes"])
    def test_a_larger_shape_gives_both(self, ask: str) -> None:
        weights = _changed_afterwards(lambda width: nn.ModuleDict({"hidden": nn.Linear(5, width + 9)}))
        with pytest.raises(ShapeTooLarge, match=r"hidden.weight needs shape \(11, 5\), .* has \(4, 5\)"):
            getattr(weights, ask)(of_width(2))

    def test_a_failing_build_is_not_remembered(self) -> None:
        weights = perceptrons()
        weights._build = _raise
        with pytest.raises(ZeroDivisionError):
            weights.borrow(of_width(2))
        weights._build = perceptron
        weights.borrow(of_width(2))


def _raise(architecture: Architecture) -> nn.Module:
    raise ZeroDivisionError(architecture.to_json())


def _changed_afterwards(other: Callable[[int], nn.Module]) -> SharedWeights:
    """Weights whose build makes something else once they exist: it depends on more than its argument."""
    changed: list[bool] = []

    def build(architecture: Architecture) -> nn.Module:
        return other(int(architecture["width"])) if changed else perceptron(architecture)

    weights = SharedWeights(build, width_space())
    changed.append(True)
    return weights


def test_asking_changes_nothing() -> None:
    """Each question, twice, in both orders, with another architecture between: the same answers."""

    def answers(weights: SharedWeights, order: list[int]) -> dict[int, list[Tensor | dict[str, tuple[int, ...]]]]:
        x = inputs(3, 5)
        return {
            width: [
                weights.shapes(of_width(width)),
                weights.borrow(of_width(width))(x).detach(),
                weights.extract(of_width(width))(x).detach(),
            ]
            for width in order
        }

    one, other = perceptrons(cache_size=1), perceptrons()
    before = [p.clone() for p in one.parameters()]
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    found = [answers(one, [2, 4, 3]), answers(other, [3, 4, 2]), answers(one, [3, 2, 4]), answers(one, [2, 4, 3])]
    for width in (2, 3, 4):
        for shapes, *tensors in (answer[width] for answer in found):
            assert shapes == found[0][width][0]
            assert all(torch.equal(tensor, found[0][width][1]) for tensor in tensors)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(before, one.parameters(), strict=True))
    assert all(p.grad is None for p in one.parameters())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state


def test_construction_leaves_global_randomness_alone() -> None:
    state = torch.get_rng_state()
    perceptrons()
    assert torch.equal(torch.get_rng_state(), state)


def test_shapes_counts_the_subnets_parameters(transformers: SharedWeights, build: Build) -> None:
    for architecture in ARCHITECTURES[:5]:
        wanted = {name: tuple(value.shape) for name, value in build(architecture).named_parameters()}
        assert transformers.shapes(architecture) == wanted


@pytest.mark.slow
def test_names_are_the_modules_own_and_shapes_the_largest(build: Build) -> None:
    weights = SharedWeights(build, SPACE)
    largest: dict[str, tuple[int, ...]] = {}
    for architecture in ARCHITECTURES:
        for name, value in build(architecture).state_dict().items():
            known = largest.get(name, value.shape)
            largest[name] = tuple(max(pair) for pair in zip(known, value.shape, strict=True))
    assert {name: tuple(value.shape) for name, value in weights.state_dict().items()} == largest
    assert dict(weights.named_parameters()).keys() == largest.keys()
