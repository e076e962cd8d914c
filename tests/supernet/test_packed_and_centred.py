"""Layouts through real modules: attention and recurrence that pack, kernels that are centred.

The wanted outputs come from modules built by hand and filled with weights sliced by hand.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import Centred, Leading, Packed, SharedWeights
from supernet.errors import LayoutError
from tests.supernet.toys import gradients, inputs, of_width, randomise, space_of, width_space

ATTENTION = {"*.in_proj_*": Packed(3)}
RECURRENCE = {"*.weight_*": Packed(4), "*.bias_*": Packed(4)}


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(5, width)
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        out: Tensor = self.attend(x, x, x, need_weights=False)[0]
        return out


class Recurrence(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.recur = nn.LSTM(5, width, num_layers=2, batch_first=True)
        self.leave = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.leave(self.recur(x)[0])
        return out


def attention(architecture: Architecture) -> nn.Module:
    return Attention(int(architecture["width"]))


def recurrence(architecture: Architecture) -> nn.Module:
    return Recurrence(int(architecture["width"]))


def attentions() -> SharedWeights:
    return randomise(SharedWeights(attention, width_space(2, 4, 6), layouts=ATTENTION))


def recurrences() -> SharedWeights:
    return randomise(SharedWeights(recurrence, width_space(2, 4, 6), layouts=RECURRENCE))


def blocks(tensor: Tensor, parts: int, *sizes: int) -> Tensor:
    """The start of each of `parts` stacked blocks, and of the other axes."""
    rest = tuple(slice(n) for n in sizes[1:])
    return torch.cat([block[(slice(sizes[0]), *rest)] for block in tensor.chunk(parts)])


def by_hand(weights: SharedWeights, width: int) -> nn.Module:
    """The module of this width with weights sliced by hand."""
    shared = {name: value.detach() for name, value in weights.named_parameters()}
    module: nn.Module
    if "attend.in_proj_weight" in shared:
        module = Attention(width)
        packed = {
            "attend.in_proj_weight": blocks(shared["attend.in_proj_weight"], 3, width, width),
            "attend.in_proj_bias": blocks(shared["attend.in_proj_bias"], 3, width),
        }
    else:
        module = Recurrence(width)
        packed = {
            name: blocks(value, 4, *(width, 5 if name.endswith("ih_l0") else width)[: value.ndim])
            for name, value in shared.items()
            if name.startswith("recur")
        }
    leading = {
        name: shared[name][tuple(slice(n) for n in value.shape)]
        for name, value in module.state_dict().items()
        if name not in packed
    }
    module.load_state_dict({**packed, **leading})
    return module


MODELS = pytest.mark.parametrize("make", [attentions, recurrences])


@MODELS
@pytest.mark.parametrize("width", [2, 4, 6])
def test_outputs_and_gradients_are_those_of_hand_sliced_weights(make: Any, width: int) -> None:
    weights, x = make(), inputs(3, 4, 5)
    wanted, borrowed = by_hand(weights, width), weights.borrow(of_width(width))
    assert torch.equal(borrowed(x), weights.extract(of_width(width))(x))
    assert torch.equal(borrowed(x), wanted(x))
    borrowed(x).square().sum().backward()
    wanted(x).square().sum().backward()
    for name, parameter in wanted.named_parameters():
        gradient = weights.get_parameter(name).grad
        assert gradient is not None
        assert parameter.grad is not None
        parts = 3 if "in_proj" in name else 4 if name.startswith("recur") else 1
        reached = blocks(gradient, parts, parameter.shape[0] // parts, *parameter.shape[1:])
        torch.testing.assert_close(reached, parameter.grad, rtol=1e-6, atol=1e-7)
        assert gradient.abs().sum() == pytest.approx(float(reached.abs().sum()), rel=1e-5)  # and nothing else


@MODELS
def test_flat_lists_of_recurrent_weights_are_the_bound_parameters(make: Any) -> None:
    for module in (make().borrow(of_width(2)), make().extract(of_width(2))):
        for child in module.modules():
            if isinstance(child, nn.LSTM):
                named = dict(child.named_parameters())
                assert all(w is named[n] for w, n in zip(child._flat_weights, child._flat_weights_names, strict=True))


@MODELS
@pytest.mark.parametrize("fused", [True, False])
def test_copies_of_packed_blocks_follow_an_optimizer_step(make: Any, fused: bool) -> None:
    """A fused step leaves no trace in the version of a tensor."""
    weights, x = make(), inputs(3, 4, 5)
    optimizer = torch.optim.AdamW(weights.parameters(), lr=0.1, fused=fused)
    whole, in_part = weights.borrow(of_width(4)), weights.borrow(of_width(4))
    for _ in range(3):
        optimizer.zero_grad()
        whole(x).square().sum().backward()
        in_part(x).square().sum().backward()
        optimizer.step()
        wanted = by_hand(weights, 4)
        assert torch.equal(whole(x), wanted(x))
        if hasattr(in_part, "recur"):  # a submodule, without calling the whole
            assert torch.equal(in_part.recur(x)[0], wanted.recur(x)[0])
        else:
            h = wanted.enter(x)
            assert torch.equal(in_part.attend(h, h, h)[0], wanted.attend(h, h, h)[0])


@MODELS
def test_copies_of_packed_blocks_follow_a_write_behind_the_back_of_autograd(make: Any) -> None:
    weights, x = make(), inputs(3, 4, 5)
    subnet = weights.borrow(of_width(4))
    for parameter in weights.parameters():
        parameter.data.mul_(1.5)
    assert torch.equal(subnet(x), by_hand(weights, 4)(x))


@MODELS
def test_two_forwards_before_two_backwards(make: Any) -> None:
    """Refreshing what has not changed must not spoil the graph of the first forward."""
    weights, x = make(), inputs(3, 4, 5)
    subnet = weights.borrow(of_width(4))
    first, second = subnet(x).sum(), subnet(2 * x).sum()
    first.backward()
    second.backward()


def test_weights_that_a_parent_reads_without_calling_their_owner_are_fresh() -> None:
    """Attention uses `out_proj.weight` and never calls `out_proj`."""
    weights = randomise(
        SharedWeights(
            attention,
            width_space(2, 4),
            layouts={**ATTENTION, "*.out_proj.weight": Packed(2)},
        )
    )
    subnet, h = weights.borrow(of_width(2)), inputs(3, 4, 2)
    with torch.no_grad():
        weights.get_parameter("attend.out_proj.weight").mul_(2)
    assert torch.equal(subnet.attend(h, h, h)[0], weights.borrow(of_width(2)).attend(h, h, h)[0])


class TestUndeclared:
    def test_attention_is_refused_by_name(self) -> None:
        with pytest.raises(
            LayoutError, match=r"'attend.in_proj_bias': Packed\(3\), 'attend.in_proj_weight': Packed\(3\)"
        ):
            SharedWeights(attention, width_space(2, 4))

    def test_recurrence_is_refused_by_name_where_any_part_is_undeclared(self) -> None:
        with pytest.raises(LayoutError, match=r"'recur.bias_hh_l0': Packed\(4\)") as caught:
            SharedWeights(recurrence, width_space(2, 4), layouts={"*.weight_*": Packed(4)})
        assert "weight_ih" not in str(caught.value)

    def test_a_gated_cell_at_the_root_is_refused(self) -> None:
        with pytest.raises(LayoutError, match=r"'weight_hh': Packed\(3\)"):
            SharedWeights(lambda a: nn.GRUCell(2, int(a["width"])), width_space())

    def test_two_directions_side_by_side_are_no_case_for_one_packing(self) -> None:
        def build(architecture: Architecture) -> nn.Module:
            return nn.LSTM(2, int(architecture["width"]), num_layers=2, bidirectional=True)

        with pytest.raises(LayoutError, match=r"'weight_ih_l1': PackedAxes\(\(Packed\(4\), Packed\(2, axis=1\)\)\)"):
            SharedWeights(build, width_space())

    def test_what_keeps_its_size_needs_no_declaration(self) -> None:
        weights = SharedWeights(lambda a: nn.LSTM(int(a["width"]), 3), width_space())  # only its input is elastic
        SharedWeights(lambda a: nn.MultiheadAttention(4, int(a["heads"])), space_of(heads=Ordinal(1, 2)))
        shared = weights.state_dict()["weight_ih_l0"]
        assert torch.equal(weights.extract(of_width(2)).get_parameter("weight_ih_l0"), shared[:, :2])


def _kernel_space() -> SearchSpace:
    return SearchSpace({"channels": Ordinal(2, 3), "kernel": Ordinal(3, 5, 7)})


def _convolution(architecture: Architecture) -> nn.Module:
    kernel = int(architecture["kernel"])
    return nn.Sequential(nn.Conv2d(2, int(architecture["channels"]), kernel, padding=kernel // 2))


class TestCentredKernels:
    @pytest.mark.parametrize("declared", [True, False])
    @pytest.mark.parametrize("kernel", [3, 5, 7])
    def test_the_small_kernel_is_the_middle_where_declared_and_the_corner_where_not(
        self, declared: bool, kernel: int
    ) -> None:
        layouts = {"*.weight": Centred()} if declared else None
        weights = randomise(SharedWeights(_convolution, _kernel_space(), layouts=layouts))
        architecture = Architecture({"channels": 2, "kernel": kernel})
        start = (7 - kernel) // 2 if declared else 0
        taps = slice(start, start + kernel)
        kept = weights.get_parameter("0.weight")[:2, :, taps, taps].detach().contiguous()
        bias = weights.get_parameter("0.bias")[:2].detach()
        x = inputs(2, 2, 9, 9)
        wanted = nn.functional.conv2d(x, kept, bias, padding=kernel // 2)
        borrowed = weights.borrow(architecture)
        assert torch.equal(borrowed(x), weights.extract(architecture)(x))
        torch.testing.assert_close(borrowed(x).detach(), wanted)
        borrowed(x).square().sum().backward()
        gradient = gradients(weights)["0.weight"]
        assert gradient is not None
        inside = torch.zeros(gradient.shape, dtype=torch.bool)
        inside[:2, :, taps, taps] = True
        assert gradient[inside].all()
        assert not gradient[~inside].any()

    def test_a_centred_view_is_no_copy(self) -> None:
        weights = SharedWeights(_convolution, _kernel_space(), layouts={"*.weight": Centred()})
        subnet = weights.borrow(Architecture({"channels": 2, "kernel": 3}))
        with torch.no_grad():
            weights.get_parameter("0.weight")[0, 0, 3, 3] = 42.0
        assert subnet.get_parameter("0.weight")[0, 0, 1, 1] == 42

    def test_odd_and_even_kernels_cannot_share_a_middle(self) -> None:
        with pytest.raises(LayoutError, match=r"0.weight: Centred cannot place 2 elements in the middle of 3"):
            SharedWeights(
                lambda a: nn.Sequential(nn.Conv2d(1, 1, int(a["width"]))),
                width_space(2, 3),
                layouts={"*.weight": Centred()},
            )


def test_bit_equality_over_random_architectures_of_a_packed_and_centred_model() -> None:
    def build(architecture: Architecture) -> nn.Module:
        width, kernel = int(architecture["width"]), int(architecture["kernel"])
        return nn.Sequential(
            nn.Conv1d(3, width, kernel, padding=kernel // 2), nn.GELU(), nn.GRU(11, width, batch_first=True)
        )

    space = SearchSpace({"width": Ordinal(2, 3, 5), "kernel": Ordinal(1, 3, 5)})
    layouts = {"0.weight": Centred(), "2.*": Packed(3)}
    weights, rng, x = randomise(SharedWeights(build, space, layouts=layouts)), random.Random(0), inputs(2, 3, 11)
    for architecture in (space.sample(rng) for _ in range(20)):
        assert torch.equal(weights.borrow(architecture)(x)[0], weights.extract(architecture)(x)[0])


class TestDeclaredBesideTheLayer:
    """A layer of our own says itself how its parameters are sliced."""

    class Kernel(nn.Conv1d):
        parameter_layouts: ClassVar = {"weight": Centred()}

    SPACE = SearchSpace({"kernel": Ordinal(1, 3, 5)})

    def build(self, architecture: Architecture) -> nn.Module:
        kernel = int(architecture["kernel"])
        return self.Kernel(1, 1, kernel, padding=kernel // 2, bias=False)

    def test_its_layout_applies(self) -> None:
        shared = SharedWeights(self.build, self.SPACE)
        with torch.no_grad():
            shared.weight.copy_(torch.arange(5.0).reshape(1, 1, 5))
        assert shared.borrow(Architecture({"kernel": 3})).weight.flatten().tolist() == [1, 2, 3]

    def test_a_pattern_given_to_the_weights_wins(self) -> None:
        shared = SharedWeights(self.build, self.SPACE, layouts={"weight": Leading()})
        with torch.no_grad():
            shared.weight.copy_(torch.arange(5.0).reshape(1, 1, 5))
        assert shared.borrow(Architecture({"kernel": 3})).weight.flatten().tolist() == [0, 1, 2]
