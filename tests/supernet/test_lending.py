"""Lent modules: the same one again, but never one that differs from a new one."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from supernet import Packed, SharedWeights
from supernet.errors import StaleBorrow
from tests.supernet.toys import assert_same_gradients, gradients, inputs, of_width, perceptrons, randomise, width_space

if TYPE_CHECKING:
    from search_spaces import Architecture

A = of_width(3)


@dataclass(frozen=True)
class Config:
    scale: float


class Rich(nn.Module):
    """Something of everything that a module may hold."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(5, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 2)
        self.config = Config(0.5)
        self.ramp = torch.arange(2.0)
        self.seen: dict[str, int] = {}
        self.names = ["first"]
        self.pair = ("one", ["inside"])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.tanh(self.norm(self.hidden(x)))) * self.config.scale + self.ramp
        return out


def rich(architecture: Architecture) -> nn.Module:
    return Rich(int(architecture["width"]))


def rich_weights() -> SharedWeights:
    return randomise(SharedWeights(rich, width_space()))


def lend(weights: SharedWeights, architecture: Architecture = A) -> Any:
    """The module that is lent now, already given back."""
    with weights.lent(architecture) as module:
        return module


def settled(weights: SharedWeights) -> Any:
    """The module that is lent from now on."""
    lend(weights)
    return lend(weights)


class TestTheSameAgain:
    @pytest.mark.parametrize("make", [perceptrons, rich_weights])
    def test_from_the_second_time_on(self, make: Callable[[], SharedWeights]) -> None:
        weights = make()
        first, second, third = lend(weights), lend(weights), lend(weights)
        assert first is not second  # most architectures are lent only once, and it takes time to remember one
        assert second is third

    def test_after_a_training_step_in_which_it_computed(self) -> None:
        weights = rich_weights()
        module, optimizer = settled(weights), torch.optim.AdamW(weights.parameters(), fused=True)
        for _ in range(3):
            with weights.lent(A) as subnet:
                assert subnet is module
                subnet(inputs(6, 5)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    def test_trains_like_modules_that_are_borrowed_anew(self) -> None:
        anew, again = rich_weights(), rich_weights()
        optimizers = [torch.optim.AdamW(weights.parameters(), fused=True) for weights in (anew, again)]
        for step in range(5):
            x = inputs(6, 5, seed=step)
            for width in (4, 2, 3):
                anew.borrow(of_width(width))(x).square().sum().backward()
                with again.lent(of_width(width)) as subnet:
                    subnet(x).square().sum().backward()
            assert_same_gradients(gradients(again), gradients(anew))
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

    def test_its_buffers_begin_anew(self) -> None:
        weights = rich_weights()
        module = settled(weights)
        with weights.lent(A) as subnet:
            subnet(inputs(6, 5))
            assert subnet.norm.num_batches_tracked == 1
        with weights.lent(A) as subnet:
            assert subnet is module
            assert subnet.norm.num_batches_tracked == 0
            assert torch.equal(subnet.norm.running_mean, torch.zeros(3))

    def test_copies_of_packed_blocks_follow_before_the_module_is_called(self) -> None:
        def packed(architecture: Architecture) -> nn.Module:
            return nn.LSTM(2, int(architecture["width"]))

        weights = randomise(SharedWeights(packed, width_space(), layouts={"*_l0": Packed(4)}))
        module = settled(weights)
        with torch.no_grad():
            weights.get_parameter("weight_hh_l0").fill_(7.0)
        with weights.lent(A) as subnet:
            assert subnet is module
            assert bool((subnet.weight_hh_l0 == 7).all())

    def test_nested_loans_of_one_architecture_are_two_modules(self) -> None:
        weights = perceptrons()
        settled(weights)
        with weights.lent(A) as outer, weights.lent(A) as inner:
            assert outer is not inner


def set_attribute(module: Any) -> None:
    module.note = "mine"


def delete_attribute(module: Any) -> None:
    del module.config


def replace_attribute(module: Any) -> None:
    module.config = Config(2.0)


def fill_table(module: Any) -> None:
    module.seen["x"] = 1


def append_to_list(module: Any) -> None:
    module.names.append("second")


def append_inside_a_tuple(module: Any) -> None:
    module.pair[1].append("more")


def write_a_constant(module: Any) -> None:
    module.ramp.add_(1)


def replace_a_buffer(module: Any) -> None:
    module.norm.running_mean = torch.ones(3)


def replace_a_parameter(module: Any) -> None:
    module.head.bias = nn.Parameter(torch.ones(2))


def replace_a_layer(module: Any) -> None:
    module.head = nn.Identity()


def hook_the_module(module: Any) -> None:
    module.head.register_forward_hook(lambda *_: None)


def hook_a_parameter(module: Any) -> None:
    module.head.weight.register_hook(lambda gradient: gradient)


def hook_what_a_parameter_accumulates(module: Any) -> None:
    module.head.weight.register_post_accumulate_grad_hook(lambda _: None)


def mark_a_parameter(module: Any) -> None:
    module.head.weight.kind = "mine"


def leave_a_gradient(module: Any) -> None:
    module.head.bias.grad = torch.ones(2)


def freeze_a_parameter(module: Any) -> None:
    module.head.bias.requires_grad_(False)


def let_a_parameter_look_elsewhere(module: Any) -> None:
    module.head.bias.data = torch.ones(2)


def let_a_buffer_look_elsewhere(module: Any) -> None:
    module.norm.running_mean.data = torch.ones(3)


def put_a_part_in_evaluation_mode(module: Any) -> None:
    module.norm.eval()


CHANGES = [
    set_attribute,
    delete_attribute,
    replace_attribute,
    fill_table,
    append_to_list,
    append_inside_a_tuple,
    write_a_constant,
    replace_a_buffer,
    replace_a_parameter,
    replace_a_layer,
    hook_the_module,
    hook_a_parameter,
    hook_what_a_parameter_accumulates,
    mark_a_parameter,
    leave_a_gradient,
    freeze_a_parameter,
    let_a_parameter_look_elsewhere,
    let_a_buffer_look_elsewhere,
    put_a_part_in_evaluation_mode,
]


class TestANewOne:
    @pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
    @pytest.mark.parametrize("inside", [True, False], ids=["while it is lent", "after it was given back"])
    def test_where_something_about_it_changed(self, change: Callable[[Any], None], inside: bool) -> None:
        weights = rich_weights()
        module = settled(weights)
        if inside:
            with weights.lent(A) as subnet:
                change(subnet)
        else:
            change(module)
        with weights.lent(A) as subnet:
            assert subnet is not module
            assert torch.equal(subnet(inputs(6, 5)), weights.borrow(A)(inputs(6, 5)))

    def test_where_the_work_failed(self) -> None:
        weights = rich_weights()
        module = settled(weights)

        def work() -> None:
            with weights.lent(A) as subnet:
                assert subnet is module
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert lend(weights) is not module

    def test_where_a_shared_tensor_was_frozen(self) -> None:
        weights = rich_weights()
        module = settled(weights)
        weights.get_parameter("head.bias").requires_grad_(False)
        with weights.lent(A) as subnet:
            assert subnet is not module
            assert not subnet.head.bias.requires_grad

    def test_where_a_shared_tensor_lies_elsewhere(self) -> None:
        weights = rich_weights()
        module = settled(weights)
        weights.get_parameter("head.bias").data = torch.full((2,), 7.0)
        with weights.lent(A) as subnet:
            assert subnet is not module
            assert subnet.head.bias.tolist() == [7, 7]

    def test_in_the_other_mode(self) -> None:
        weights = rich_weights()
        settled(weights)
        weights.eval()
        with weights.lent(A) as subnet:
            assert not subnet.norm.training
        weights.train()
        with weights.lent(A) as subnet:
            assert subnet.norm.training

    @pytest.mark.parametrize("move", ["to", "load_state_dict"])
    def test_after_the_weights_have_moved(self, move: str) -> None:
        weights = rich_weights()
        module = settled(weights)
        if move == "to":
            weights.double()
        else:
            weights.load_state_dict({name: value + 1 for name, value in weights.state_dict().items()})
        with weights.lent(A) as subnet:
            assert subnet.head.bias.dtype == weights.get_parameter("head.bias").dtype
            assert torch.equal(subnet.head.bias, weights.get_parameter("head.bias"))
        with pytest.raises(StaleBorrow):
            module(inputs(6, 5))

    def test_where_a_module_holds_what_cannot_be_compared(self) -> None:
        class Opaque(Rich):
            def __init__(self, width: int) -> None:
                super().__init__(width)
                self.helper = type("Counter", (), {"count": 0})()

        weights = SharedWeights(lambda architecture: Opaque(int(architecture["width"])), width_space())
        modules = [lend(weights) for _ in range(4)]
        assert len({id(module) for module in modules}) == 4

    def test_where_a_module_keeps_something_beside_its_attributes(self) -> None:
        class Slotted(nn.Linear):
            __slots__ = ("count",)

        weights = SharedWeights(lambda a: nn.Sequential(nn.Linear(5, 2), Slotted(2, int(a["width"]))), width_space())
        assert lend(weights) is not lend(weights)
        assert lend(weights) is not lend(weights)

    def test_where_a_module_changes_whenever_it_computes(self) -> None:
        class Counting(Rich):
            calls = 0

            def forward(self, x: Tensor) -> Tensor:
                self.calls += 1
                return super().forward(x) * self.calls

        weights = randomise(SharedWeights(lambda a: Counting(int(a["width"])), width_space()))
        wanted = weights.borrow(A)(inputs(6, 5))
        for _ in range(4):
            with weights.lent(A) as subnet:
                assert torch.equal(subnet(inputs(6, 5)), wanted)


@pytest.mark.slow
def test_only_cached_architectures_keep_a_module() -> None:
    weights = perceptrons(cache_size=1)
    kept = weakref.ref(settled(weights))
    gc.collect()
    assert kept() is not None
    lend(weights, of_width(2))
    gc.collect()
    assert kept() is None
