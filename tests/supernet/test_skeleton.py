"""Skeletons: parameters without values, everything else with; leaves and their places."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from search_spaces import Architecture, load_space
from supernet import load_task
from supernet.errors import LayoutError
from supernet.models.registry import load_builder
from supernet.skeleton import Build, build_outline, build_real, build_skeleton, leaves

A = Architecture({"width": 3})


def skeleton_of(module_type: type[nn.Module]) -> Any:
    return build_skeleton(lambda _: module_type(), A, 0)


def instance_of(module_type: type[nn.Module]) -> Any:
    """With parameters of zeros."""
    skeleton = skeleton_of(module_type)
    parameters = [nn.Parameter(torch.zeros(leaf.shape), leaf.requires_grad) for leaf in skeleton.leaves]
    return skeleton.instantiate(parameters)


def assert_no_values(module: nn.Module) -> None:
    assert all(parameter.is_meta for parameter in module.parameters())
    assert not any(buffer.is_meta for buffer in module.buffers())


class WithConstants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("mask", torch.tril(torch.ones(3, 3)))
        self.register_buffer("absent", None)
        self.scale = torch.full((3,), 2.0)  # a plain attribute
        self.table = {"positions": [torch.arange(3)]}


def test_parameters_are_meta_and_buffers_and_constants_real() -> None:
    module = skeleton_of(WithConstants).module
    assert_no_values(module)
    assert torch.equal(module.mask, torch.tril(torch.ones(3, 3)))
    assert torch.equal(module.scale, torch.full((3,), 2.0))
    assert module.table["positions"][0].tolist() == [0, 1, 2]


class Drawn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.free = nn.Parameter(torch.empty(3))
        assert nn.init.trunc_normal_(self.free) is self.free
        nn.init.xavier_uniform_(tensor=self.linear.weight)
        self.register_buffer("noise", torch.full((3,), 9.0).uniform_())


def test_values_are_drawn_for_what_keeps_them_only() -> None:
    drawn = []

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.overloadpacket.__name__ in ("uniform_", "normal_", "erfinv_"):
                drawn.append(args[0].device.type)
            return func(*args, **(kwargs or {}))

    with Watch():
        module = skeleton_of(Drawn).module
    assert_no_values(module)
    assert drawn == ["cpu"]
    assert float(module.noise.max()) < 1


def test_each_instance_has_constants_of_its_own() -> None:
    skeleton = skeleton_of(WithConstants)
    first, second = (
        skeleton.instantiate([nn.Parameter(torch.zeros(leaf.shape)) for leaf in skeleton.leaves]) for _ in "ab"
    )
    first.mask.zero_()
    first.scale.zero_()
    first.table["positions"][0].zero_()
    assert second.mask.sum() == 6
    assert second.scale.sum() == 6
    assert second.table["positions"][0].sum() == 3


class FromValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        nn.init.constant_(self.linear.weight, 2.0)


class BufferFromParameter(FromValues):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", self.linear.weight.sum())  # not detached: it carries a graph


class AttributeFromParameter(FromValues):
    def __init__(self) -> None:
        super().__init__()
        self.total = self.linear.weight.detach().sum()


class ListFromParameter(FromValues):
    def __init__(self) -> None:
        super().__init__()
        self.totals = [(self.linear.weight.sum(),)]

    @property
    def total(self) -> Tensor:
        return self.totals[0][0]


class NumberFromParameter(FromValues):
    def __init__(self) -> None:
        super().__init__()
        self.total = torch.tensor(self.linear.weight.sum().item())


class ArrayFromParameter(FromValues):
    def __init__(self) -> None:
        super().__init__()
        self.total = torch.tensor(self.linear.weight.detach().numpy().sum())


@pytest.mark.parametrize(
    "kind",
    [BufferFromParameter, AttributeFromParameter, ListFromParameter, NumberFromParameter, ArrayFromParameter],
)
def test_values_computed_from_parameters_are_real(kind: type[nn.Module]) -> None:
    assert_no_values(skeleton_of(kind).module)
    instance = instance_of(kind)
    assert not instance.total.is_meta
    assert not instance.total.requires_grad
    assert float(instance.total) == 18


class TiedAfterwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


class TiedBeforehand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        weight = nn.Parameter(torch.ones(5, 3))
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.embed.weight = weight
        self.head.weight = weight


@pytest.mark.parametrize("kind", [TiedAfterwards, TiedBeforehand])
def test_a_tied_parameter_is_one_leaf_with_two_places(kind: type[nn.Module]) -> None:
    (leaf,) = skeleton_of(kind).leaves
    assert leaf.name == "embed.weight"
    assert leaf.places == (("embed", "weight"), ("head", "weight"))
    instance = instance_of(kind)
    assert instance.embed.weight is instance.head.weight


class Aliased(nn.Module):
    """Keeps a second list of its parameters, once after and once before registering them."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Parameter(torch.ones(2))
        self.first, self.second = first, nn.Parameter(torch.ones(2))
        self.also = [first, (self.second,)]


def test_instances_replace_parameters_in_lists_of_the_modules_own() -> None:
    instance = instance_of(Aliased)
    assert instance.also[0] is instance.first
    assert instance.also[1][0] is instance.second


def test_recurrent_modules_keep_their_second_list_in_step() -> None:
    instance = instance_of(lambda: nn.LSTM(2, 3))  # type: ignore[arg-type]
    assert all(
        flat is getattr(instance, name)
        for flat, name in zip(instance._flat_weights, instance._flat_weights_names, strict=True)
    )


class WrittenIntoTheTable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._parameters["weight"] = nn.Parameter(torch.ones(2))


class Pretrained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.load_state_dict({"linear.weight": torch.eye(2), "linear.bias": torch.ones(2)})


@pytest.mark.parametrize("kind", [WrittenIntoTheTable, Pretrained])
def test_parameters_that_arrive_in_unusual_ways_lose_their_values_too(kind: type[nn.Module]) -> None:
    assert_no_values(skeleton_of(kind).module)


def test_frozen_parameters_and_dtypes_are_kept() -> None:
    module = nn.Linear(2, 2, dtype=torch.float64)
    module.bias.requires_grad_(False)
    weight, bias = build_skeleton(lambda _: module, A, 0).leaves
    assert (weight.requires_grad, bias.requires_grad) == (True, False)
    assert weight.dtype == torch.float64


def test_a_lazy_parameter_is_refused_by_name() -> None:
    with pytest.raises(LayoutError, match=r"0.weight is lazy.* build the layer with its input size"):
        build_skeleton(lambda _: nn.Sequential(nn.LazyLinear(3)), A, 0)


def test_a_failing_build_names_the_architecture_once() -> None:
    def build(architecture: Architecture) -> nn.Module:
        raise KeyError("no such layer")

    with pytest.raises(KeyError, match="no such layer") as caught:
        build_skeleton(build, A, 0)
    assert caught.value.__notes__ == ['while building the architecture {"width":3}']


def test_the_same_seed_gives_the_same_values_and_leaves_the_callers_randomness_alone() -> None:
    state = torch.get_rng_state()
    first, second, other = (build_real(lambda _: nn.Linear(3, 3), A, seed) for seed in (0, 0, 1))
    build_skeleton(lambda _: nn.Linear(3, 3), A, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)


def test_a_build_that_builds_another_skeleton_does_not_wait_for_itself() -> None:
    def build(_: Architecture) -> nn.Module:
        build_skeleton(lambda _: nn.Linear(1, 1), A, 0)
        return nn.Linear(2, 2)

    done: list[int] = []
    worker = threading.Thread(target=lambda: done.append(len(build_skeleton(build, A, 0).leaves)), daemon=True)
    worker.start()
    worker.join(timeout=20)
    assert done == [2]


def test_modules_of_other_threads_keep_their_values() -> None:
    made: list[nn.Module] = []

    def build(_: Architecture) -> nn.Module:
        other = threading.Thread(target=lambda: made.append(nn.Linear(2, 2)))
        other.start()
        other.join()
        return nn.Linear(2, 2)

    assert_no_values(build_skeleton(build, A, 0).module)
    assert not any(parameter.is_meta for parameter in made[0].parameters())


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_skeleton_does_not_remember_the_mode_it_was_made_in(mode: Any) -> None:
    build: Build = lambda _: nn.BatchNorm1d(3)  # noqa: E731
    with mode():
        skeleton = build_skeleton(build, A, 0)
    assert not any(tensor.is_inference() for tensor in skeleton.module.buffers())


def test_leaves_follow_the_order_of_parameters() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4, bias=False)))
    assert [leaf.name for leaf in leaves(module)] == [name for name, _ in module.named_parameters()]


def test_an_outline_has_the_shapes_of_the_real_module_and_no_values() -> None:
    space = load_space("vision_transformer")
    build = load_builder("vision_transformer", load_task("digits"))
    for architecture in (space.smallest(), space.largest()):
        outline, real = build_outline(build, architecture, 0), build(architecture)
        assert [p.shape for p in outline.parameters()] == [p.shape for p in real.parameters()]
        assert all(parameter.is_meta for parameter in outline.parameters())
