"""Costs against closed forms written out here."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from predictors import Cost, cost, model_size
from predictors.costs import _COUNTED, _FREE
from predictors.errors import MissingCost
from search_spaces import Architecture, load_space
from supernet import SharedWeights
from supernet.mixers.convolution import DepthwiseConvolution
from supernet.mixers.softmax import SoftmaxAttention
from supernet.mixers.windowed import WindowedAttention
from supernet.models.vision_transformer import VisionTransformerConfig, builder

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = VisionTransformerConfig(image_size=8, channels=1, classes=10)
SPACE = load_space("vision_transformer")


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def macs(function: Callable[..., Tensor], *inputs: Tensor) -> int:
    return cost(Applied(function), inputs).macs


# Multiply-adds


@pytest.mark.parametrize("shape", [(7,), (2, 7), (2, 3, 7)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_map(shape: tuple[int, ...], bias: bool) -> None:
    found = cost(nn.Linear(7, 5, bias=bias), torch.zeros(shape))
    assert found.macs == math.prod(shape) * 5
    assert found.parameters == 7 * 5 + 5 * bias


@pytest.mark.parametrize(
    ("options", "height"),
    [
        ({}, 7),
        ({"stride": 2}, 4),
        ({"padding": 1}, 9),
        ({"groups": 2}, 7),
        ({"groups": 4, "stride": 3, "padding": 2}, 4),
        ({"dilation": 2}, 5),
    ],
)
def test_a_convolution(options: dict[str, int], height: int) -> None:
    """outputs * (input channels of a group) * taps."""
    module = nn.Conv2d(4, 8, 3, **options)  # type: ignore[arg-type]
    found = cost(module, torch.zeros(2, 4, 9, 9))
    assert module(torch.zeros(2, 4, 9, 9)).shape == (2, 8, height, height)
    assert found.macs == 2 * 8 * height * height * (4 // options.get("groups", 1)) * 9


def test_convolutions_of_one_and_three_axes_and_transposed_ones() -> None:
    assert cost(nn.Conv1d(4, 6, 5), torch.zeros(2, 4, 20)).macs == 2 * 6 * 16 * 4 * 5
    assert cost(nn.Conv3d(2, 3, 2), torch.zeros(1, 2, 4, 4, 4)).macs == 3 * 27 * 2 * 8
    assert cost(nn.ConvTranspose2d(4, 6, 2, stride=2), torch.zeros(1, 4, 5, 5)).macs == 25 * 4 * 6 * 4


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (torch.matmul, [(3, 4), (4, 5)], 3 * 4 * 5),
        (torch.matmul, [(2, 3, 4), (4, 5)], 2 * 3 * 4 * 5),
        (torch.matmul, [(3, 4), (6, 4, 5)], 6 * 3 * 4 * 5),
        (torch.matmul, [(2, 1, 3, 4), (7, 4, 5)], 2 * 7 * 3 * 4 * 5),
        (torch.matmul, [(4,), (4,)], 4),
        (torch.matmul, [(3, 4), (4,)], 3 * 4),
        (torch.matmul, [(4,), (4, 5)], 4 * 5),
        (torch.mm, [(3, 4), (4, 5)], 3 * 4 * 5),
        (torch.bmm, [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (torch.mv, [(3, 4), (4,)], 3 * 4),
        (torch.addmm, [(5,), (3, 4), (4, 5)], 3 * 4 * 5),
        (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bhqd,bhkd->bhqk", a, b), [(2, 3, 5, 4), (2, 3, 6, 4)], 2 * 3 * 5 * 6 * 4),
        (lambda a, b: torch.einsum("ij, jk -> ik", a, b), [(3, 4), (4, 5)], 3 * 4 * 5),
        (lambda a, b: torch.einsum("abc,abd->acd", a, b), [(2, 3, 4), (2, 3, 5)], 2 * 3 * 4 * 5),
        (lambda a: torch.einsum("ij->ji", a), [(3, 4)], 0),
    ],
)
def test_matrix_products(function: Callable[..., Tensor], shapes: list[tuple[int, ...]], expected: int) -> None:
    assert macs(function, *(torch.zeros(shape) for shape in shapes)) == expected


@pytest.mark.parametrize("equation", ["ij,jk,kl->il", "...ij,jk->...ik", "ij,jk"])
def test_an_einsum_whose_order_is_torchs_choice_is_refused(equation: str) -> None:
    operands = [torch.zeros(3, 3) for _ in equation.partition("->")[0].split(",")]
    with pytest.raises(MissingCost, match="einsum"):
        macs(lambda *inputs: torch.einsum(equation, *inputs), *operands)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (5, 9)])
def test_scaled_dot_product_attention(heads: int, queries: int, keys: int) -> None:
    """heads * queries * keys * (query width + value width), for self and cross attention."""
    q, k, v = (torch.zeros(2, heads, n, width) for n, width in ((queries, 8), (keys, 8), (keys, 6)))
    expected = 2 * heads * queries * keys * (8 + 6)
    assert macs(F.scaled_dot_product_attention, q, k, v) == expected
    assert macs(lambda q, k, v: (q @ k.transpose(-1, -2)).softmax(-1) @ v, q, k, v) == expected


def projections(tokens: int, width: int, inner: int) -> int:
    return 4 * tokens * width * inner


@pytest.mark.parametrize(("heads", "batch"), [(1, 1), (3, 2)])
def test_softmax_attention(heads: int, batch: int) -> None:
    found = cost(SoftmaxAttention(12, heads=heads, head_width=8), torch.zeros(batch, 9, 12))
    assert found.macs == batch * (projections(9, 12, heads * 8) + 2 * heads * 9 * 9 * 8)
    assert found.parameters == 3 * (12 * heads * 8 + heads * 8) + heads * 8 * 12 + 12


@pytest.mark.parametrize(("grid", "side"), [(4, 2), (6, 3), (4, 4), (2, 4)])
def test_windowed_attention(grid: int, side: int) -> None:
    """Every token sees one window only."""
    module = WindowedAttention(12, heads=2, head_width=8, grid=grid, side=side)
    tokens = grid * grid
    expected = projections(tokens, 12, 16) + 2 * 2 * tokens * min(side, grid) ** 2 * 8
    assert cost(module, torch.zeros(1, tokens, 12)).macs == expected


def test_depthwise_convolution() -> None:
    module = DepthwiseConvolution(12, grid=4)
    assert cost(module, torch.zeros(3, 16, 12)).macs == 3 * (16 * 12 * 9 + 16 * 12 * 12)


def expected_macs(architecture: Architecture) -> int:
    """A vision transformer on one 8 x 8 image, layer by layer."""
    width, patch = int(architecture["width"]), int(architecture["patch"])
    grid = 8 // patch
    tokens = grid * grid
    total = tokens * width * patch * patch + width * 10
    for index in range(int(architecture["depth"])):
        layer = {
            name.rpartition(".")[2]: value
            for name, value in architecture.items()
            if name.startswith(f"layers.{index}.")
        }
        inner = int(layer.get("heads", 0)) * CONFIG.head_width
        total += 2 * tokens * width * round(width * float(layer["mlp_ratio"]))
        if layer["mixer"] == "convolution":
            total += tokens * width * (9 + width)
        elif layer["mixer"] != "identity":
            reach = tokens
            if layer["mixer"] == "windowed":
                reach = min(int(layer["window"]), grid) ** 2
            total += projections(tokens, width, inner) + 2 * tokens * reach * inner
    return total


def chosen() -> list[Architecture]:
    import random

    rng = random.Random(0)
    return [SPACE.smallest(), SPACE.largest(), *(SPACE.sample(rng) for _ in range(6))]


@pytest.mark.parametrize("architecture", chosen(), ids=lambda architecture: architecture.digest)
def test_a_whole_vision_transformer(architecture: Architecture) -> None:
    module = builder(CONFIG)(architecture)
    one, three = (cost(module, torch.zeros(batch, 1, 8, 8)) for batch in (1, 3))
    assert one.macs == expected_macs(architecture)
    assert three.macs == 3 * one.macs
    assert one.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert one.model_bytes == 4 * one.parameters
    assert three.peak_activation_bytes == 3 * one.peak_activation_bytes


class Squaring(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: torch.fft.fft(x).real, "aten::fft_fft"),
        (torch.linalg.inv, "linalg_inv"),
        (lambda x: torch.cdist(x, x), "cdist"),
        (lambda x: Squaring.apply(x), "PythonOp.Squaring"),
    ],
)
def test_an_unknown_operation_raises_and_is_named(function: Callable[..., Tensor], named: str) -> None:
    with pytest.raises(MissingCost, match=rf"Applied uses .*{named}.*multiply-adds are not known"):
        macs(function, torch.eye(4))


def _recurrent(kind: str, **options: Any) -> nn.Module:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = getattr(nn, kind)(4, 5, **options)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(x)[0]
            return out

    return Recurrent()


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_recurrent_layers(kind: str, gates: int, batch_first: bool) -> None:
    """Every gate reads the input and the state of every step; the second layer reads both directions of the first."""
    inputs = torch.zeros(3, 7, 4)
    assert cost(_recurrent(kind, batch_first=batch_first), inputs).macs == 3 * 7 * gates * 5 * (4 + 5)
    deep = _recurrent(kind, batch_first=batch_first, num_layers=2, bidirectional=True)
    assert cost(deep, inputs).macs == 3 * 7 * 2 * gates * 5 * ((4 + 5) + (10 + 5))


def test_a_recurrent_layer_with_a_projected_state() -> None:
    assert cost(_recurrent("LSTM", proj_size=2), torch.zeros(3, 7, 4)).macs == 3 * 7 * (20 * (4 + 2) + 2 * 5)


def test_elementwise_functions_and_normalisations_are_free() -> None:
    module = nn.Sequential(
        nn.LayerNorm(6), nn.BatchNorm1d(3), nn.GELU(), nn.SiLU(), nn.Dropout(0.5), nn.Softmax(-1), nn.Flatten()
    )
    assert cost(module, torch.zeros(2, 3, 6)).macs == 0


def test_no_operation_is_both_counted_and_free() -> None:
    assert not set(_COUNTED) & set(_FREE)
    assert len(_FREE) == len(set(_FREE))
    assert "aten::_convolution" not in _FREE


# Sizes


def test_tied_weights_count_once() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    module[2].weight = module[0].weight
    found = cost(module, torch.zeros(1, 4))
    assert (found.parameters, found.model_bytes, found.macs) == (16, 64, 32)


def test_model_bytes_are_those_of_parameters_and_buffers_as_stored() -> None:
    module = nn.Sequential(nn.Linear(4, 2).to(torch.float16), nn.BatchNorm1d(2))
    # 10 halves; weight, bias, mean and variance of 2 floats each; the counter is one 64-bit integer.
    assert model_size(module).parameters == 14
    assert model_size(module).model_bytes == 10 * 2 + 8 * 4 + 8


def test_sizes_need_no_values() -> None:
    with torch.device("meta"):
        module = nn.Linear(1_000, 1_000)
    assert model_size(module).parameters == 1_001_000


# Memory


def test_the_peak_of_a_chain_is_its_widest_pair_beside_the_input() -> None:
    """The caller holds the input; of the rest only a layer's own input and output live at one time."""
    widths = [16, 64, 8, 128, 4]
    module = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    found = cost(module, torch.zeros(3, 16))
    alive = [16 + b if n == 0 else 16 + a + b for n, (a, b) in enumerate(itertools.pairwise(widths))]
    assert found.peak_activation_bytes == 3 * 4 * max(alive)


def test_a_residual_connection_keeps_its_input() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.expand, self.contract = nn.Linear(2, 8), nn.Linear(8, 32), nn.Linear(32, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.enter(x)
            return x + self.contract(self.expand(x))

    # At the contraction: the model's input, the branch's input, 32 wide, and the result; at the sum 2 + 3 * 8.
    assert cost(Residual(), torch.zeros(5, 2)).peak_activation_bytes == 5 * 4 * (2 + 8 + 32 + 8)


def test_views_and_work_in_place_need_nothing() -> None:
    def body(x: Tensor) -> Tensor:
        y = x.reshape(2, 3, 4).transpose(1, 2) * 1.0
        return y.relu_().transpose(1, 2).flatten()

    assert cost(Applied(body), torch.zeros(2, 12)).peak_activation_bytes == 4 * (24 + 24)


def test_weights_are_no_activations() -> None:
    assert cost(nn.Linear(1_000, 1), torch.zeros(1, 1_000)).peak_activation_bytes == 4 * 1_001


# Asking


def test_asking_changes_nothing_and_answers_the_same_in_any_order() -> None:
    frozen = nn.BatchNorm1d(6).eval()
    first = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), frozen, nn.BatchNorm1d(6))
    second = builder(CONFIG)(SPACE.smallest())
    inputs = torch.randn(4, 6, requires_grad=True)
    images = torch.zeros(1, 1, 8, 8)
    first(inputs).sum().backward()
    assert inputs.grad is not None

    def everything() -> list[object]:
        return [
            [child.training for child in first.modules()],
            {name: value.tolist() for name, value in first.state_dict().items()},
            [p.grad.tolist() for p in first.parameters() if p.grad is not None],
            inputs.grad.tolist(),
            torch.get_rng_state().tolist(),
            [(len(c._forward_hooks), len(c._forward_pre_hooks)) for c in first.modules()],
        ]

    before = everything()
    answers = [cost(first, inputs), cost(second, images)]
    assert [cost(second, images), cost(first, inputs)] == answers[::-1]
    assert everything() == before
    assert first.training
    assert not frozen.training


def test_modes_are_restored_after_an_error() -> None:
    module = nn.Sequential(nn.Dropout(0.5), Applied(lambda x: torch.fft.fft(x).real))
    with pytest.raises(MissingCost):
        cost(module, torch.zeros(2, 4))
    assert all(child.training for child in module.modules())


@pytest.mark.slow
def test_asking_often_leaves_nothing_on_the_inputs() -> None:
    """An example lives as long as a study and is asked about for each of its architectures."""
    inputs, module = torch.zeros(2, 4), nn.Linear(4, 4)
    cost(module, inputs)
    gc.collect()
    before = len(weakref.finalize._registry)  # type: ignore[attr-defined]
    for _ in range(3):
        cost(module, inputs)
    gc.collect()
    assert len(weakref.finalize._registry) == before  # type: ignore[attr-defined]


def test_a_borrowed_module_costs_what_an_extracted_one_does() -> None:
    space = load_space("vision_transformer", depth=(1, 2), width=(16, 32))
    weights = SharedWeights(builder(CONFIG), space)
    before = {name: value.clone() for name, value in weights.state_dict().items()}
    for architecture in (space.smallest(), space.largest()):
        image = torch.zeros(1, 1, 8, 8)
        assert cost(weights.borrow(architecture), image) == cost(weights.extract(architecture), image)
    assert all(torch.equal(value, before[name]) for name, value in weights.state_dict().items())
    assert all(parameter.grad is None for parameter in weights.parameters())


def test_several_inputs_are_given_as_a_tuple() -> None:
    found = cost(Applied(lambda a, b: a @ b), (torch.zeros(2, 3), torch.zeros(3, 4)))
    assert found == Cost(parameters=0, model_bytes=0, macs=24, peak_activation_bytes=4 * (6 + 12 + 8))


@pytest.mark.slow
def test_nothing_is_printed_or_warned_of() -> None:
    """In a process of its own: some warnings come with the first import, or once."""
    code = (
        "import torch\nfrom predictors import cost\n"
        "assert cost(torch.nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 4, 4)).macs == 72\n"
        "class Shaped(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.relu() if x.shape[0] > 1 and bool(x.sum() > -1) else x\n"
        "assert cost(Shaped(), torch.zeros(2, 3)).macs == 0\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
