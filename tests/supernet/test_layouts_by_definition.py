"""Borrowed attention, depthwise convolutions and LSTMs compute what their definitions say of the weights that they see.

The wanted outputs are written out from the definitions, with the numbers of the rows, columns and taps of the shared
tensors; neither our slicing nor torch's modules have a part in them.  Gradients are those of the same formulas.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import Centred, Packed, PackedAxes, SharedWeights
from tests.supernet.toys import inputs, randomise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supernet.slicing import Layout


def assert_computes(
    weights: SharedWeights,
    architecture: Architecture,
    x: Tensor,
    definition: Callable[[Mapping[str, Tensor]], Tensor],
    call: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    """In double precision: outputs, and gradients of all shared tensors."""
    borrowed = weights.borrow(architecture)
    shared = dict(weights.named_parameters())
    wanted, got = definition(shared), call(borrowed, x)
    torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-12)
    got.square().sum().backward()
    expected = torch.autograd.grad(wanted.square().sum(), list(shared.values()))
    for (name, parameter), gradient in zip(shared.items(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def doubles(
    build: Callable[[Architecture], nn.Module], space: SearchSpace, layouts: dict[str, Layout]
) -> SharedWeights:
    return randomise(SharedWeights(build, space, layouts=layouts)).double()


class TestAttention:
    """Vaswani et al. 2017, equation 1 and section 3.2.2; `in_proj` stacks query, key and value."""

    LARGEST = 12
    SPACE = SearchSpace({"heads": Ordinal(1, 2, 3, 4), "head_width": Ordinal(2, 3)})

    @staticmethod
    def build(architecture: Architecture) -> nn.Module:
        heads, head_width = int(architecture["heads"]), int(architecture["head_width"])
        return nn.MultiheadAttention(heads * head_width, heads, batch_first=True)

    def by_definition(self, shared: Mapping[str, Tensor], x: Tensor, heads: int, head_width: int) -> Tensor:
        width = heads * head_width
        columns = list(range(width))
        # Query rows begin at row 0 of the stack, key rows at 12, value rows at 24.
        query, key, value = (
            torch.stack(
                [
                    x @ shared["in_proj_weight"][start + row, columns] + shared["in_proj_bias"][start + row]
                    for row in range(width)
                ],
                -1,
            )
            for start in (0, self.LARGEST, 2 * self.LARGEST)
        )
        mixed = []
        for head in range(heads):
            own = [head * head_width + n for n in range(head_width)]
            scores = torch.einsum("btd,bsd->bts", query[..., own], key[..., own]) / math.sqrt(head_width)
            weight = scores.exp() / scores.exp().sum(-1, keepdim=True)
            mixed.append(torch.einsum("bts,bsd->btd", weight, value[..., own]))
        together = torch.cat(mixed, -1)
        return torch.stack(
            [together @ shared["out_proj.weight"][row, columns] + shared["out_proj.bias"][row] for row in range(width)],
            -1,
        )

    @pytest.mark.parametrize(("heads", "head_width"), [(1, 3), (2, 3), (3, 3), (4, 3), (4, 2), (2, 2), (1, 2)])
    def test_fewer_heads_of_the_same_width_and_narrower_ones(self, heads: int, head_width: int) -> None:
        weights = doubles(self.build, self.SPACE, {"in_proj_*": Packed(3)})
        x = inputs(2, 5, heads * head_width).double()
        assert_computes(
            weights,
            Architecture({"heads": heads, "head_width": head_width}),
            x,
            lambda shared: self.by_definition(shared, x, heads, head_width),
            lambda module, x: module(x, x, x, need_weights=False)[0],
        )


class TestDepthwiseConvolution:
    """Each channel has a kernel of its own; tap k of K sees what lies (k - K // 2) * dilation away, zero outside."""

    SPACE = SearchSpace({"channels": Ordinal(2, 3), "kernel": Ordinal(3, 5, 7)})
    TAPS: ClassVar = {3: (2, 3, 4), 5: (1, 2, 3, 4, 5), 7: (0, 1, 2, 3, 4, 5, 6)}  # of the seven

    @pytest.mark.parametrize("dilation", [1, 2])
    @pytest.mark.parametrize("kernel", [3, 5, 7])
    @pytest.mark.parametrize("channels", [2, 3])
    def test_over_time(self, channels: int, kernel: int, dilation: int) -> None:
        def build(architecture: Architecture) -> nn.Module:
            count, taps = int(architecture["channels"]), int(architecture["kernel"])
            return nn.Conv1d(count, count, taps, padding=taps // 2 * dilation, dilation=dilation, groups=count)

        length = 9
        x = inputs(2, channels, length).double()

        def by_definition(shared: Mapping[str, Tensor]) -> Tensor:
            out = []
            for channel in range(channels):
                for t in range(length):
                    total = shared["bias"][channel].expand(2)
                    for k, tap in enumerate(self.TAPS[kernel]):
                        seen = t + (k - kernel // 2) * dilation
                        if 0 <= seen < length:
                            total = total + shared["weight"][channel, 0, tap] * x[:, channel, seen]
                    out.append(total)
            return torch.stack(out, -1).reshape(2, channels, length)

        weights = doubles(build, self.SPACE, {"weight": Centred()})
        architecture = Architecture({"channels": channels, "kernel": kernel})
        assert_computes(weights, architecture, x, by_definition, lambda module, x: module(x))

    @pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2)])
    def test_over_an_image(self, kernel: int, dilation: int) -> None:
        def build(architecture: Architecture) -> nn.Module:
            count, taps = int(architecture["channels"]), int(architecture["kernel"])
            return nn.Conv2d(count, count, taps, padding=taps // 2 * dilation, dilation=dilation, groups=count)

        side, channels = 4, 2
        x = inputs(1, channels, side, side).double()

        def by_definition(shared: Mapping[str, Tensor]) -> Tensor:
            out = []
            for channel in range(channels):
                for row in range(side):
                    for column in range(side):
                        total = shared["bias"][channel]
                        for i, down in enumerate(self.TAPS[kernel]):
                            for j, right in enumerate(self.TAPS[kernel]):
                                y, z = row + (i - kernel // 2) * dilation, column + (j - kernel // 2) * dilation
                                if 0 <= y < side and 0 <= z < side:
                                    total = total + shared["weight"][channel, 0, down, right] * x[0, channel, y, z]
                        out.append(total)
            return torch.stack(out).reshape(1, channels, side, side)

        weights = doubles(build, self.SPACE, {"weight": Centred()})
        architecture = Architecture({"channels": channels, "kernel": kernel})
        assert_computes(weights, architecture, x, by_definition, lambda module, x: module(x))


class TestLstm:
    """Hochreiter and Schmidhuber 1997 with a forget gate (Gers et al. 2000); torch stacks the gates i, f, g, o.

    With projections h is multiplied by a matrix of its own (Sak et al. 2014).
    """

    LARGEST = 4
    LAYOUTS: ClassVar[dict[str, Layout]] = {
        "weight_hh_*": Packed(4),
        "bias_*": Packed(4),
        "weight_ih_l0*": Packed(4),
        "weight_ih_l1*": Packed(4),
    }
    TWO_WAYS: ClassVar[dict[str, Layout]] = {**LAYOUTS, "weight_ih_l1*": PackedAxes((Packed(4), Packed(2, axis=1)))}

    def by_definition(
        self, shared: Mapping[str, Tensor], x: Tensor, width: int, *, layers: int, ways: int, projected: bool
    ) -> Tensor:
        """x_TBC -> the outputs of the last layer, both directions side by side."""
        size, largest_size = (width - 1, self.LARGEST - 1) if projected else (width, self.LARGEST)  # of h
        sequence, read = x, list(range(x.shape[-1]))  # which columns of weight_ih the inputs meet
        for layer in range(layers):
            outputs = []
            for way in range(ways):
                suffix = f"l{layer}" + ("_reverse" if way else "")
                steps = list(range(len(sequence)))
                h = torch.zeros(x.shape[1], size, dtype=x.dtype)
                c = torch.zeros(x.shape[1], width, dtype=x.dtype)
                found: dict[int, Tensor] = {}
                for t in reversed(steps) if way else steps:
                    gates = []
                    for gate in range(4):
                        rows = [gate * self.LARGEST + n for n in range(width)]
                        recurrent = list(range(size))
                        gates.append(
                            sequence[t] @ shared[f"weight_ih_{suffix}"][rows][:, read].T
                            + shared[f"bias_ih_{suffix}"][rows]
                            + h @ shared[f"weight_hh_{suffix}"][rows][:, recurrent].T
                            + shared[f"bias_hh_{suffix}"][rows]
                        )
                    enter, keep, candidate, leave = gates
                    c = keep.sigmoid() * c + enter.sigmoid() * candidate.tanh()
                    h = leave.sigmoid() * c.tanh()
                    if projected:
                        h = h @ shared[f"weight_hr_{suffix}"][list(range(size))][:, list(range(width))].T
                    found[t] = h
                outputs.append(torch.stack([found[t] for t in steps]))
            sequence = torch.cat(outputs, -1)
            read = [way * largest_size + n for way in range(ways) for n in range(size)]
        return sequence

    @pytest.mark.parametrize("projected", [False, True])
    @pytest.mark.parametrize("ways", [1, 2])
    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize("width", [2, 3, 4])
    def test_gates_layers_directions_and_projections(self, width: int, layers: int, ways: int, projected: bool) -> None:
        def build(architecture: Architecture) -> nn.Module:
            hidden = int(architecture["width"])
            return nn.LSTM(
                5, hidden, num_layers=layers, bidirectional=ways == 2, proj_size=hidden - 1 if projected else 0
            )

        declared = self.TWO_WAYS if ways == 2 else self.LAYOUTS
        layouts = {pattern: layout for pattern, layout in declared.items() if layers == 2 or "l1" not in pattern}
        weights = doubles(build, SearchSpace({"width": Ordinal(2, 3, 4)}), layouts)
        x = inputs(3, 2, 5).double()
        assert_computes(
            weights,
            Architecture({"width": width}),
            x,
            lambda shared: self.by_definition(shared, x, width, layers=layers, ways=ways, projected=projected),
            lambda module, x: module(x)[0],
        )
