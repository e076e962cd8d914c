"""Rounded weights and inputs against loops that follow the operators' definitions, and gradients that pass them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from supernet.compression.policy import Policy, apply
from supernet.compression.quantize import BLOCK, encode4, encode8, rounded_inputs, stored_bytes


def random_weight(outputs: int, inputs: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator)
    return weight * torch.logspace(-3, 2, outputs)[:, None]  # rows of very different sizes


def naive_int8(weight: np.ndarray) -> np.ndarray:
    """One scale a row, symmetric, half to even."""
    result = np.zeros_like(weight)
    for row, values in enumerate(weight):
        scale = np.float32(np.abs(values).max()) / np.float32(127)
        for column, value in enumerate(values):
            result[row, column] = np.rint(value / scale) * scale if scale else 0
    return result


def naive_int4(weight: np.ndarray) -> np.ndarray:
    """One scale for 32 inputs, so that the value of greatest magnitude is code -8."""
    result = np.zeros_like(weight)
    for row, values in enumerate(weight):
        for start in range(0, len(values), 32):
            block = values[start : start + 32]
            scale = block[np.abs(block).argmax()] / np.float32(-8)
            for offset, value in enumerate(block):
                code = min(7, max(-8, np.rint(value / scale))) if scale else 0
                result[row, start + offset] = np.float32(code) * scale
    return result


def naive_inputs(sample: np.ndarray) -> np.ndarray:
    """ONNX's DynamicQuantizeLinear and back, for one sample."""
    least, greatest = min(0, sample.min()), max(0, sample.max())
    scale = np.float32(greatest - least) / np.float32(255)
    if scale == 0:
        return np.zeros_like(sample)
    zero = min(255, max(0, np.rint(-least / scale)))
    codes = np.clip(np.rint(sample / scale) + zero, 0, 255)
    return ((codes - zero) * scale).astype(np.float32)


def linear(inputs: int, outputs: int, bits: int, seed: int = 0) -> nn.Linear:
    module = nn.Linear(inputs, outputs)
    with torch.no_grad():
        module.weight.copy_(random_weight(outputs, inputs, seed))
    apply(module, Policy(bits={"": bits}))
    return module


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (3, 31), (4, 32), (5, 33), (7, 96), (2, 130)])
class TestWeights:
    def test_eight_bits(self, outputs: int, inputs: int) -> None:
        weight = random_weight(outputs, inputs)
        codes, scale = encode8(weight)
        assert codes.abs().max() <= 127
        assert torch.equal(codes, codes.round())
        np.testing.assert_allclose((codes * scale).numpy(), naive_int8(weight.numpy()), rtol=1e-6)
        assert ((codes * scale - weight).abs() <= scale * 0.5001).all()

    def test_four_bits(self, outputs: int, inputs: int) -> None:
        weight = random_weight(outputs, inputs)
        codes, scale = encode4(weight)
        assert codes.shape == (outputs, math.ceil(inputs / BLOCK), BLOCK)
        assert -8 <= codes.min() <= codes.max() <= 7
        decoded = (codes * scale).flatten(1)
        np.testing.assert_allclose(decoded[:, :inputs].numpy(), naive_int4(weight.numpy()), rtol=1e-6)
        assert not decoded[:, inputs:].any()
        # Half a step, and a whole one for what would be code 8.
        assert ((decoded[:, :inputs] - weight).abs() <= scale.abs().expand_as(codes).flatten(1)[:, :inputs]).all()

    @pytest.mark.parametrize("bits", [4, 8])
    def test_the_module_computes_with_rounded_weights(self, outputs: int, inputs: int, bits: int) -> None:
        module = linear(inputs, outputs, bits)
        x = torch.randn(3, 2, inputs, generator=torch.Generator().manual_seed(1))
        rounded = (
            naive_int8(module.weight.detach().numpy()) if bits == 8 else naive_int4(module.weight.detach().numpy())
        )
        seen = np.stack([naive_inputs(sample) for sample in x.numpy()]) if bits == 8 else x.numpy()
        expected = seen @ rounded.T + module.bias.detach().numpy()
        np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encode", [encode4, encode8])
def test_rows_and_blocks_of_zeros_stay_zero(encode: object) -> None:
    codes, scale = encode(torch.zeros(3, 40))  # type: ignore[operator]
    assert not codes.any()
    assert torch.isfinite(scale).all()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
)
def test_inputs_are_rounded_sample_by_sample(first: list[float], second: list[float]) -> None:
    size = min(len(first), len(second))
    x = torch.tensor([first[:size], second[:size]])
    together = rounded_inputs(x)
    for row in (0, 1):
        assert torch.equal(together[row], rounded_inputs(x[row : row + 1])[0])
        np.testing.assert_allclose(together[row].numpy(), naive_inputs(x[row].numpy()), rtol=1e-5, atol=1e-30)


def test_inputs_without_a_batch_axis_are_refused() -> None:
    with pytest.raises(ValueError, match="batch axis"):
        rounded_inputs(torch.tensor(3.0))


@pytest.mark.parametrize("bits", [4, 8])
def test_gradients_pass_the_rounding(bits: int) -> None:
    """They are those of a plain map that holds the rounded weight and sees the rounded input."""
    module = linear(33, 5, bits)
    x = torch.randn(4, 33, generator=torch.Generator().manual_seed(2), requires_grad=True)
    (module(x) ** 2).sum().backward()
    plain = nn.Linear(33, 5)
    with torch.no_grad():
        naive = naive_int8 if bits == 8 else naive_int4
        plain.weight.copy_(torch.from_numpy(naive(module.weight.detach().numpy())))
        plain.bias.copy_(module.bias)
    y = (rounded_inputs(x) if bits == 8 else x).detach().requires_grad_()
    (plain(y) ** 2).sum().backward()
    assert module.weight.grad is not None
    torch.testing.assert_close(module.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-3)


def test_training_lowers_a_loss_that_rounding_alone_could_not() -> None:
    """Four-bit weights learn a map: without gradients through the rounding the loss would stand still."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(256, 32, generator=generator)
    target = inputs @ torch.randn(32, 4, generator=generator)
    module = nn.Linear(32, 4)
    with torch.no_grad():
        module.weight.copy_(torch.randn(4, 32, generator=generator))
    apply(module, Policy(bits={"": 4}))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(inputs), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0]


def test_the_type_and_the_device_stay() -> None:
    module = linear(32, 4, 8).double()
    assert module(torch.randn(2, 32, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "bits", "expected"),
    [
        ((10, 64), 32, 10 * 64 * 4),
        ((10, 64), 8, 10 * 64 + 10 * 4),
        ((10, 64), 4, 10 * 2 * (16 + 4)),
        ((10, 33), 4, 10 * 2 * (16 + 4)),
    ],
)
def test_stored_bytes(shape: tuple[int, int], bits: int, expected: int) -> None:
    assert stored_bytes(shape, bits) == expected
