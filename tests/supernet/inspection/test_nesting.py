"""Layouts that are found by watching a forward pass: hand-made modules of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.inspection.nesting import AxisReport, judge
from supernet.inspection.trace import trace
from supernet.slicing import Centred, Layout, Layouts, Leading, Packed

WIDTH, TOKENS = 8, 5
VECTORS = torch.randn(1, TOKENS, WIDTH)
IMAGE = torch.randn(1, 3, 6, 6)


class Module(nn.Module):
    """What `forward` does with the layers that are given."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.compute = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(self, x)


def judged(
    modules: list[nn.Module], x: Tensor, declared: dict[str, Layout] | None = None
) -> dict[tuple[str, int], AxisReport]:
    """By parameter and axis, what is said of modules that are architectures of one space."""
    sizes: dict[str, tuple[int, ...]] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            known = sizes.setdefault(name, tuple(parameter.shape))
            sizes[name] = tuple(max(pair) for pair in zip(known, parameter.shape, strict=True))
    reports = judge([trace(module, x) for module in modules], sizes, Layouts(declared), {})
    return {(report.parameter, report.axis): report for report in reports}


def qkv(how: str) -> Callable[[int, int], nn.Module]:
    """Self-attention whose projection is stacked, taken apart in different ways."""

    def forward(self: Any, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        heads, width = self.heads, self.head_width
        y = self.qkv(x)
        if how == "chunk":
            parts = [part.view(batch, tokens, heads, width).transpose(1, 2) for part in y.chunk(3, dim=-1)]
        elif how == "slices":
            inner = heads * width
            parts = [y[..., i * inner : (i + 1) * inner].unflatten(-1, (heads, width)).mT for i in range(3)]
            parts = [part.permute(0, 3, 1, 2) if part.shape[1] == tokens else part for part in parts]
            parts = [part.reshape(batch, heads, tokens, width) for part in parts]
        elif how == "view":
            parts = list(y.view(batch, tokens, 3, heads, width).permute(2, 0, 3, 1, 4))
        elif how == "interleaved":  # q, k and v of each head beside each other
            parts = list(y.view(batch, tokens, heads, 3, width).permute(3, 0, 2, 1, 4))
        elif how == "einsum":
            q, k, v = y.view(batch, tokens, 3, heads, width).unbind(2)
            weights = torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1)
            return self.out(torch.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, tokens, -1))
        else:
            raise AssertionError(how)
        mixed = F.scaled_dot_product_attention(*parts)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, -1))

    def make(heads: int, head_width: int) -> nn.Module:
        inner = heads * head_width
        module = Module(forward, qkv=nn.Linear(WIDTH, 3 * inner), out=nn.Linear(inner, WIDTH))
        module.heads, module.head_width = heads, head_width  # type: ignore[assignment]
        return module

    return make


@pytest.mark.parametrize("how", ["chunk", "view", "einsum"])
class TestStackedProjections:
    def test_more_heads_of_one_width_need_three_blocks(self, how: str) -> None:
        found = judged([qkv(how)(heads, 4) for heads in (2, 3, 4)], VECTORS)
        for name in ("qkv.weight", "qkv.bias"):
            assert (found[name, 0].verdict, found[name, 0].suggestion) == ("wrong", Packed(3))
        assert found["out.weight", 1].verdict == "right"
        assert ("qkv.weight", 1) not in found  # it has one size

    def test_wider_heads_need_a_block_for_each_head_of_each_part(self, how: str) -> None:
        found = judged([qkv(how)(2, width) for width in (2, 3, 5)], VECTORS)
        assert (found["qkv.weight", 0].verdict, found["qkv.weight", 0].suggestion) == ("wrong", Packed(6))
        assert (found["out.weight", 1].verdict, found["out.weight", 1].suggestion) == ("wrong", Packed(2, axis=1))

    def test_if_both_vary_nothing_fits(self, how: str) -> None:
        found = judged([qkv(how)(*sizes) for sizes in ((2, 2), (2, 4), (4, 2), (4, 4), (3, 4))], VECTORS)
        assert (found["qkv.weight", 0].verdict, found["qkv.weight", 0].suggestion) == ("wrong", None)
        assert (found["out.weight", 1].verdict, found["out.weight", 1].suggestion) == ("wrong", None)

    def test_the_right_declaration_passes_and_a_wrong_one_does_not(self, how: str) -> None:
        modules = [qkv(how)(heads, 4) for heads in (2, 4)]
        assert judged(modules, VECTORS, {"qkv.*": Packed(3)})["qkv.weight", 0].verdict == "right"
        wrong = judged(modules, VECTORS, {"qkv.*": Packed(2)})["qkv.weight", 0]
        assert (wrong.verdict, wrong.suggestion, wrong.declared) == ("wrong", Packed(3), True)
        assert judged(modules, VECTORS, {"qkv.*": Leading()})["qkv.weight", 0].verdict == "wrong"


def test_projections_that_are_interleaved_by_head_are_nested_as_they_are() -> None:
    found = judged([qkv("interleaved")(heads, 4) for heads in (2, 3, 4)], VECTORS)
    assert found["qkv.weight", 0].verdict == "right"
    wider = judged([qkv("interleaved")(2, width) for width in (2, 3)], VECTORS)
    assert wider["qkv.weight", 0].suggestion == Packed(6)


def glu(hidden: int) -> nn.Module:
    def forward(self: Any, x: Tensor) -> Tensor:
        value, gate = self.inner(x).chunk(2, dim=-1)
        return self.outer(value * F.silu(gate))

    return Module(forward, inner=nn.Linear(WIDTH, 2 * hidden), outer=nn.Linear(hidden, WIDTH))


def test_a_gated_network_stacks_two_blocks() -> None:
    found = judged([glu(hidden) for hidden in (4, 6, 10)], VECTORS)
    assert (found["inner.weight", 0].verdict, found["inner.weight", 0].suggestion) == ("wrong", Packed(2))
    assert found["inner.bias", 0].suggestion == Packed(2)
    assert found["outer.weight", 1].verdict == "whole"


def test_what_is_normalised_before_it_is_split_is_split_too() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        value, gate = self.norm(self.inner(x)).chunk(2, dim=-1)
        return self.outer(value * gate.sigmoid())

    found = judged(
        [
            Module(forward, inner=nn.Linear(WIDTH, 2 * n), norm=nn.LayerNorm(2 * n), outer=nn.Linear(n, WIDTH))
            for n in (4, 6)
        ],
        VECTORS,
    )
    assert {found[name, 0].suggestion for name in ("inner.weight", "inner.bias", "norm.weight", "norm.bias")} == {
        Packed(2)
    }


def test_a_plain_network_is_never_split() -> None:
    modules = [nn.Sequential(nn.Linear(WIDTH, n), nn.GELU(), nn.LayerNorm(n), nn.Linear(n, 3)) for n in (4, 6)]
    found = judged(modules, VECTORS)
    assert {report.verdict for report in found.values()} == {"whole"}
    assert {key[0] for key in found} == {"0.weight", "0.bias", "2.weight", "2.bias", "3.weight"}


@pytest.mark.parametrize(("channels_last", "suggestion"), [(False, None), (True, Packed(16, axis=1))])
def test_a_flattened_image(channels_last: bool, suggestion: Layout | None) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x).relu()
        return self.head((y.permute(0, 2, 3, 1) if channels_last else y).flatten(1))

    found = judged([Module(forward, conv=nn.Conv2d(3, n, 3), head=nn.Linear(n * 16, 2)) for n in (2, 3, 5)], IMAGE)
    assert found["conv.weight", 0].verdict == "whole", found["conv.weight", 0]
    assert found["head.weight", 1].verdict == ("right" if suggestion is None else "wrong")
    assert found["head.weight", 1].suggestion == suggestion


def grouped(groups: int, inside: int) -> nn.Module:
    n = groups * inside
    return nn.Sequential(nn.Conv2d(3, n, 1), nn.BatchNorm2d(n), nn.Conv2d(n, n, 3, groups=groups), nn.Conv2d(n, 2, 1))


def test_a_grouped_convolution() -> None:
    more = judged([grouped(groups, 2) for groups in (2, 3, 4)], IMAGE)
    assert {report.verdict for report in more.values()} == {"right"}
    wider = judged([grouped(2, inside) for inside in (2, 3, 4)], IMAGE)
    for name in ("0.weight", "1.weight", "2.weight", "2.bias"):
        assert (wider[name, 0].verdict, wider[name, 0].suggestion) == ("wrong", Packed(2))
    assert wider["2.weight", 1].verdict == "whole"
    assert wider["3.weight", 1].suggestion == Packed(2, axis=1)
    both = judged([grouped(*sizes) for sizes in ((2, 2), (2, 4), (4, 2), (4, 4))], IMAGE)
    assert (both["0.weight", 0].verdict, both["0.weight", 0].suggestion) == ("wrong", None)


def test_a_depthwise_convolution_is_one_channel_after_another() -> None:
    def make(n: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, n, 1), nn.Conv2d(n, n, 3, groups=n), nn.Conv2d(n, 2, 1))

    assert {report.verdict for report in judged([make(n) for n in (2, 4, 6)], IMAGE).values()} == {"whole"}


def test_shuffled_channels() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.first(x)
        batch, channels, height, width = y.shape
        mixed = y.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(y.shape)
        return self.second(mixed)

    found = judged([Module(forward, first=nn.Conv2d(3, n, 1), second=nn.Conv2d(n, 2, 1)) for n in (4, 6, 8)], IMAGE)
    assert (found["first.weight", 0].verdict, found["first.weight", 0].suggestion) == ("wrong", Packed(2))


def test_concatenated_features() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.left(x), self.right(x)], dim=-1))

    def make(left: int, right: int) -> nn.Module:
        return Module(
            forward, left=nn.Linear(WIDTH, left), right=nn.Linear(WIDTH, right), head=nn.Linear(left + right, 2)
        )

    alike = judged([make(n, n) for n in (2, 3, 5)], VECTORS)
    assert alike["head.weight", 1].suggestion == Packed(2, axis=1)
    assert alike["left.weight", 0].verdict == alike["right.weight", 0].verdict == "whole"
    last = judged([make(4, n) for n in (2, 3, 5)], VECTORS)
    assert last["head.weight", 1].verdict == "right"
    first = judged([make(n, 4) for n in (2, 3, 5)], VECTORS)
    assert (first["head.weight", 1].verdict, first["head.weight", 1].suggestion) == ("wrong", None)


def test_a_weight_that_the_module_slices_itself() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        first, second = self.weight.chunk(2)
        return F.linear(F.linear(x, first).relu() * F.linear(x, second), self.back)

    found = judged(
        [
            Module(forward, weight=nn.Parameter(torch.randn(2 * n, WIDTH)), back=nn.Parameter(torch.randn(2, n)))
            for n in (2, 4)
        ],
        VECTORS,
    )
    assert found["weight", 0].suggestion == Packed(2)
    assert found["back", 1].verdict == "whole"


@pytest.mark.parametrize("declared", [False, True])
def test_kernels(declared: bool) -> None:
    modules: list[nn.Module] = [nn.Conv2d(3, 2, size, padding=size // 2) for size in (3, 5)]
    found = judged(modules, IMAGE, {"weight": Centred()} if declared else None)
    assert {found["weight", axis].verdict for axis in (2, 3)} == {"right" if declared else "kernel"}
    assert found["weight", 2].suggestion == (None if declared else Centred())


def test_torch_s_own_attention() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        inner = self.into(x)
        return self.attention(inner, inner, inner, need_weights=False)[0]

    def make(heads: int) -> nn.Module:
        attention = nn.MultiheadAttention(heads * 4, heads, batch_first=True)
        return Module(forward, into=nn.Linear(WIDTH, heads * 4), attention=attention)

    found = judged([make(heads) for heads in (1, 2, 3)], VECTORS)
    assert found["attention.in_proj_weight", 0].suggestion == Packed(3)
    assert found["attention.in_proj_bias", 0].suggestion == Packed(3)


def test_shared_key_heads_leave_the_queries_alone() -> None:
    """Which K head a query head reads changes with their number, and no layout can follow it."""

    def forward(self: Any, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        q = self.q(x).view(batch, tokens, -1, self.key_heads, 4).permute(0, 2, 3, 1, 4)
        k, v = (each(x).view(batch, tokens, 1, self.key_heads, 4).permute(0, 2, 3, 1, 4) for each in (self.k, self.v))
        mixed = (q @ k.mT).softmax(-1) @ v
        return self.out(mixed.permute(0, 3, 1, 2, 4).flatten(2))

    def make(heads: int, key_heads: int) -> nn.Module:
        module = Module(
            forward,
            q=nn.Linear(WIDTH, heads * 4),
            k=nn.Linear(WIDTH, key_heads * 4),
            v=nn.Linear(WIDTH, key_heads * 4),
            out=nn.Linear(heads * 4, 2),
        )
        module.key_heads = key_heads  # type: ignore[assignment]
        return module

    found = judged([make(*sizes) for sizes in ((2, 1), (2, 2), (4, 1), (4, 2), (4, 4))], VECTORS)
    assert {key: report.verdict for key, report in found.items() if report.verdict == "wrong"} == {}


def test_what_is_not_understood_is_said() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.head(torch.cdist(self.inner(x), self.centres))

    found = judged(
        [
            Module(forward, inner=nn.Linear(WIDTH, n), centres=nn.Parameter(torch.randn(3, n)), head=nn.Linear(3, 2))
            for n in (2, 4)
        ],
        VECTORS,
    )
    assert found["inner.weight", 0].verdict == "unseen"
    assert "cdist" in found["inner.weight", 0].reason


def test_watching_changes_nothing() -> None:
    module = qkv("chunk")(2, 4).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fast = torch.backends.mha.get_fastpath_enabled()
    trace(module, VECTORS)
    assert module.training
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not module._forward_hooks
    assert not module._forward_pre_hooks
