"""What single formats refuse, fail at, and promise beside what holds for all of them."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from search_spaces import load_space
from supernet.compression import Policy, apply
from supernet.errors import ExportError
from supernet.export.formats.registry import load_format
from supernet.models.registry import load_builder
from supernet.tasks.task import predict
from tests.supernet.models.examples import images, language, recordings, sentences

if TYPE_CHECKING:
    from pathlib import Path


class Small(nn.Module):
    """One linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 3)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(image.flatten(1))
        return logits


class Convolution(nn.Module):
    """No linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(1, 3, 8)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.only(image).flatten(1)
        return logits


class Attention(nn.Module):
    """Its weights are read without calling its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)

    def forward(self, image: Tensor) -> Tensor:
        return self.attention(image[:, 0], image[:, 0], image[:, 0])[0].mean(1)[:, :3]


class Weightless(nn.Module):
    """Nothing to store."""

    def forward(self, image: Tensor) -> Tensor:
        return image.mean(1).mean(1)[:, :3]


class Large(Small):
    """Values beyond float16."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) * 1e6


class BranchesOnValues(Small):
    """What no graph holds."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image if image.sum() > 0 else -image)


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        ("onnx-int8", Convolution(), "Convolution has no linear map (nn.Linear) to store in 8 bits."),
        ("onnx-int4", Attention(), "is a MultiheadAttention, which computes with weights without calling"),
        ("onnx-int8-static", Weightless(), "Weightless has no convolution and no linear map"),
        ("onnx-fp16", apply(Small(), Policy(bits={"": 4})), "stores linear maps in 4 bits"),
        ("onnx-decode", Small(), "only models of language are decoded; the task 'random image'"),
    ],
)
def test_what_does_not_apply_is_refused_in_words(name: str, module: nn.Module, words: str) -> None:
    refusal = load_format(name).refusal(module, images())
    assert refusal is not None
    assert words in refusal


def test_a_language_model_without_steps_is_not_decoded() -> None:
    assert "no layers that can go token by token" in str(load_format("onnx-decode").refusal(Small(), language()))


def test_what_cannot_be_traced_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^BranchesOnValues cannot be exported with torch.export: .+"):
        load_format("torch-export").write(BranchesOnValues(), images(), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left on device; free space"):
        load_format("torch-export").write(Small(), images(), tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["torch-export", "onnx", "onnx-decode", "source"])
def test_files_that_are_not_there_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=str(tmp_path)):
        load_format(name).open(tmp_path)


def test_a_graph_of_torch_names_nothing_of_this_machine(tmp_path: Path) -> None:
    (file,) = load_format("torch-export").write(Small(), images(), tmp_path)
    with zipfile.ZipFile(tmp_path / file) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert b"site-packages" not in content
            assert b'File "' not in content


@pytest.mark.slow
def test_values_beyond_float16_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Large in float16 gives NaN or infinite values"):
        load_format("onnx-fp16").write(Large(), images(), tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_the_length_of_a_sequence_is_free_where_the_network_lets_it(tmp_path: Path) -> None:
    """Full attention reads any length; with learned positions, up to as many as there are."""
    wanted = load_format("torch-export")
    for family, task, free, length in (
        ("causal_lm", language(), "tokens", 61),
        ("text_encoder", sentences(), "tokens (at most 12)", 7),
    ):
        fixed = {"bits": 32, "mixer": "softmax", "span": "full", "local_span": "same"}
        space = load_space(family)
        known = {name: (value,) for name, value in fixed.items() if any(c.endswith(name) for c in space.choices)}
        space = space.narrow({f"*.{name}": value for name, value in known.items()})
        rng = random.Random(1)
        architecture = min((space.sample_balanced(rng) for _ in range(6)), key=len)
        module = load_builder(family, task)(architecture).eval()
        wanted.write(module, task, tmp_path)
        assert wanted.axes(tmp_path) == ("batch", free)
        inputs = torch.randint(1, 17, (3, length), generator=torch.Generator().manual_seed(0))
        expected = predict(module, inputs).numpy()
        np.testing.assert_allclose(wanted.open(tmp_path)(inputs.numpy()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_static_ranges_come_from_training_samples_and_ignore_the_batch(tmp_path: Path) -> None:
    """Convolutions too are integers, and normalisations are folded into them."""
    task = recordings()
    module = load_builder("tdnn", task)(load_space("tdnn").smallest()).eval()
    wanted = load_format("onnx-int8-static")
    (file,) = wanted.write(module, task, tmp_path)
    model = onnx.load(tmp_path / file)
    stored = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 3]
    assert len(stored) >= sum(isinstance(child, nn.Conv1d) for child in module.modules())
    kinds = {node.op_type for node in model.graph.node}
    assert "QuantizeLinear" in kinds
    assert "BatchNormalization" not in kinds


@pytest.mark.slow
def test_the_greedy_example_decodes_what_the_module_would(tmp_path: Path) -> None:
    task = language()
    module = load_builder("causal_lm", task)(load_space("causal_lm").sample_balanced(random.Random(4))).eval()
    apply(module, Policy(bits={"": 32}))
    assert load_format("onnx-decode").write(module, task, tmp_path) == ("decode.onnx", "decode.py")
    command = [sys.executable, tmp_path / "decode.py", "--tokens", "6", "--ids", "3", "1", "4"]
    blocked = "import runpy, sys; sys.modules['torch'] = sys.modules['supernet'] = None; sys.argv = sys.argv[1:]; "
    command[1:2] = ["-c", blocked + "runpy.run_path(sys.argv[0], run_name='__main__')", tmp_path / "decode.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ids = [3, 1, 4]
    for _ in range(6):
        ids.append(int(predict(module, torch.tensor([ids]))[0, -1].argmax()))
    assert done.stdout.split() == [str(one) for one in ids]
