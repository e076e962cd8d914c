"""Decoding with a state: equal to the parallel form, of a known size, and exported."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

from predictors.costs import cost
from search_spaces import Architecture, load_space
from supernet.export.onnx import export_onnx
from supernet.models.causal_lm import FAMILY, CausalLM, CausalLMConfig, builder
from supernet.models.decoding import DecodeStep, state_bytes
from tests.supernet.mixers.compare import randomised
from tests.supernet.models.examples import CONTEXT, language

if TYPE_CHECKING:
    from pathlib import Path

SPACE = load_space(
    "causal_lm", bits=32, mlp_ratio=(0, 2), span=(5, "full"), local_span=(3, "same"), width=(24, 32), depth=(1, 2, 3, 4)
)
CONFIG = CausalLMConfig(vocabulary=11, classes=7, context=20)


def model(architecture: Architecture) -> CausalLM:
    module = builder(CONFIG)(architecture)
    assert isinstance(module, CausalLM)
    return module


def layered(*mixers: str, **answers: object) -> Architecture:
    """One layer a mixer, with two heads where there are any."""
    fixed: dict[str, Any] = {"depth": len(mixers)}
    for index, mixer in enumerate(mixers):
        usual = {"mixer": mixer, "heads": 2, "key_heads": 2, "value_heads": 2, "span": "full", "local_span": "same"}
        fixed |= {f"layers.{index}.{name}": value for name, value in {**usual, **answers}.items()}
    return SPACE.canonical({**SPACE.fix({"depth": len(mixers)}).largest(), **fixed})


def decoded(step: DecodeStep, token_BT: Tensor, room: int) -> Tensor:
    batch, length = token_BT.shape
    state, rows = step.start(batch, room), []
    for t in range(length):
        logits, *following = step(token_BT[:, t], torch.full((batch,), t), *state)
        state = tuple(following)
        rows.append(logits)
    return torch.stack(rows, 1)


@pytest.mark.parametrize("seed", range(8))
def test_it_computes_what_the_whole_text_at_once_does(seed: int) -> None:
    module = model(SPACE.sample_balanced(random.Random(seed)))
    randomised(module)
    text = torch.randint(11, (3, 11), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for room in (10, 14):
            torch.testing.assert_close(decoded(DecodeStep(module), text, room), module(text), rtol=1e-9, atol=1e-9)


def test_it_counts_what_a_sequence_keeps() -> None:
    """In bytes of float32, head width 16."""
    head = 4 * 16
    assert state_bytes(model(layered("identity", "identity")), 1024) == 0
    assert state_bytes(model(layered("short_convolution")), 1024) == 4 * 32 * 2
    assert state_bytes(model(layered("linear")), 1024) == 2 * head * 16
    assert state_bytes(model(layered("softmax")), 1024) == head * 4 * 1024
    assert state_bytes(model(layered("softmax", key_heads=1)), 1024) == head * 3 * 1024
    assert state_bytes(model(layered("softmax", span=5)), 1024) == head * 4 * 4
    assert state_bytes(model(layered("softmax", local_span=3)), 1024) == head * (2 * 1024 + 2 * 2)
    together = model(layered("softmax", "linear", "identity", "short_convolution", key_heads=1))
    assert state_bytes(together, 100) == head * 3 * 100 + 2 * head * 16 + 4 * 32 * 2
    assert FAMILY.costs == {"kv_cache_bytes": state_bytes}


def test_a_state_needs_no_weights_to_be_counted() -> None:
    with torch.device("meta"):
        module = model(layered("softmax", "linear", "short_convolution"))
    assert state_bytes(module, 100) == state_bytes(model(layered("softmax", "linear", "short_convolution")), 100)


def test_what_is_timed_reads_so_many_tokens_and_then_one_more() -> None:
    module = model(layered("softmax", "linear"))
    prompt = FAMILY.latencies["prefill_latency_ms"](module, language().example(2) % 11, 100)
    assert prompt.module is module
    (token_BT,) = prompt.inputs
    assert token_BT.shape == (2, 100)
    assert torch.equal(token_BT[:, CONTEXT : 2 * CONTEXT], token_BT[:, :CONTEXT])
    following = FAMILY.latencies["decode_latency_ms"](module, language().example(2) % 11, 100)
    token_B, position_B, *state = following.inputs
    assert token_B.shape == (2,)
    assert position_B.tolist() == [100, 100]
    assert [tuple(part.shape) for part in state] == [(2, 2, 100, 16), (2, 2, 100, 16), (2, 2, 16, 16)]
    logits, *rest = following.module(*following.inputs)
    assert logits.shape == (2, 7)
    assert [part.shape for part in rest] == [part.shape for part in state]


def test_a_step_multiplies_weights_once_and_what_it_remembers() -> None:
    module = model(layered("softmax", key_heads=1, mlp_ratio=2, feed_forward="gated"))
    timed = FAMILY.latencies["decode_latency_ms"](module, torch.zeros(1, 4, dtype=torch.int64), 99)
    attention = 32 * 16 * (2 + 1 + 2 + 2) + 2 * 2 * 100 * 16
    assert cost(timed.module, timed.inputs).macs == attention + 3 * 32 * 64 + 32 * 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    [
        layered("softmax", "linear", "identity", "short_convolution"),
        layered("softmax", "softmax", local_span=3, key_heads=1),
        layered("identity", "identity"),
    ],
    ids=["mixers", "spans", "identity"],
)
def test_an_exported_step_decodes_a_text(architecture: Architecture, tmp_path: Path) -> None:
    """Token by token in ONNX Runtime, in batches that were not those of the export, as the parallel form in PyTorch."""
    import onnxruntime

    room, length = 9, 10
    module = randomised(model(architecture)).float().eval()
    step = DecodeStep(module)
    position_B = torch.zeros(2, dtype=torch.int64)
    export_onnx(step, (position_B, position_B + 1, *step.start(2, room)), tmp_path / "step.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for batch in (1, 3):
        text = torch.randint(11, (batch, length), generator=torch.Generator().manual_seed(batch))
        state, rows = [part.numpy() for part in step.start(batch, room)], []
        for t in range(length):
            given = (text[:, t].numpy(), np.full(batch, t), *state)
            logits, *state = session.run(None, dict(zip(names, given, strict=True)))
            rows.append(logits)
        with torch.no_grad():
            expected = module(text).numpy()
        np.testing.assert_allclose(np.stack(rows, 1), expected, rtol=1e-3, atol=1e-4)
