"""The readable file: it rebuilds the network with torch alone, and says what it cannot hold."""

from __future__ import annotations

import copy
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from supernet.compression import Policy, apply
from supernet.errors import ExportError
from supernet.export.formats.registry import load_format
from supernet.models.registry import family_names
from supernet.tasks.task import predict
from tests.supernet.export.formats.test_every_format import trained
from tests.supernet.models.examples import TASKS, images

SOURCE = load_format("source")

ALONE = """
import runpy, sys
for name in ("supernet", "search_spaces", "predictors", "runner", "safetensors", "onnx", "onnxruntime"):
    sys.modules[name] = None
import torch
for folder in sys.argv[1:]:
    network = runpy.run_path(folder + "/model.py")["load"]()
    inputs, expected = torch.load(folder + "/sample.pt")
    with torch.no_grad():
        torch.testing.assert_close(network(inputs), expected, rtol=1e-5, atol=1e-5)
"""


@pytest.mark.slow
def test_it_runs_where_supernaut_cannot_be_imported(tmp_path: Path) -> None:
    """Every family, its linear maps in few bits if it can have them."""
    folders = []
    for number, family in enumerate(family_names()):
        task, module = TASKS[family](), copy.deepcopy(trained(family))
        if family != "tdnn":  # its one linear map is of a class of its own
            apply(module, Policy(bits={"": (4, 8)[number % 2]}))
        folder = tmp_path / family
        folder.mkdir()
        SOURCE.write(module, task, folder)
        inputs = task.example(3)
        torch.save([inputs, predict(module, inputs)], folder / "sample.pt")
        assert str(tmp_path) not in (folder / "model.py").read_text()
        folders.append(folder)
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_shows_every_size(tmp_path: Path) -> None:
    task, module = images(), trained("convnet")
    SOURCE.write(module, task, tmp_path)
    text = (tmp_path / "model.py").read_text()
    assert "float32 images of shape (batch, 1, 8, 8)" in text
    assert "import supernet" not in text
    assert "from supernet" not in text
    for child in module.modules():
        if type(child) is nn.Linear:
            assert f"nn.Linear({child.in_features}, {child.out_features})" in text
    compile(text, "model.py", "exec")
    assert max(map(len, text.splitlines())) <= 140


class Tied(nn.Module):
    """The same weights at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(8, 8, bias=False)
        self.out = nn.Linear(8, 8, bias=False)
        self.out.weight = self.into.weight
        self.head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.out(self.into(image)))
        return logits


class Hooked(Tied):
    """Something else than its class says."""

    def __init__(self) -> None:
        super().__init__()
        self.register_forward_hook(lambda module, inputs, output: output + 1)


class Table(Tied):
    """A table that no file of weights holds."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.ones(3), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) + self.offset


class Callback(Tied):
    """A setting that is no value."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.relu

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.last(super().forward(image))
        return out


def test_a_module_of_ones_own_is_written_with_its_ties(tmp_path: Path) -> None:
    module = Tied()
    assert SOURCE.refusal(module, images()) is None
    SOURCE.write(module, images(), tmp_path)
    assert 'made.get_submodule("out").weight = made.get_parameter("into.weight")' in (tmp_path / "model.py").read_text()


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Hooked, "hooks of its own"), (Table, "not among its weights.*offset"), (Callback, "last is a builtin_function")],
)
def test_what_a_file_cannot_hold_is_refused(kind: type[nn.Module], words: str) -> None:
    refusal = SOURCE.refusal(kind(), images())
    assert refusal is not None
    assert re.search(words, refusal)


def test_a_class_inside_a_function_is_refused() -> None:
    class Inside(Tied):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image)

    assert "inside another definition" in str(SOURCE.refusal(Inside(), images()))


def test_a_class_of_an_installed_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages"
    package.mkdir()
    (package / "somebodys_layers.py").write_text(
        "from torch import nn\n\n\nclass Twice(nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
    )
    monkeypatch.syspath_prepend(package)
    kind = importlib.import_module("somebodys_layers").Twice
    assert "belongs to an installed package" in str(SOURCE.refusal(nn.Sequential(kind(), nn.Flatten()), images()))


def test_a_disk_that_is_full_at_the_second_file_keeps_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(module: nn.Module, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_model", full)
    with pytest.raises(ExportError, match=r"cannot write .*model\.safetensors: No space left"):
        SOURCE.write(Tied(), images(), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    SOURCE.write(Tied(), images(), tmp_path)
    (tmp_path / "model.py").write_text("def load(folder):\n    raise KeyError('lost')\n")
    with pytest.raises(ExportError, match=r"model\.py cannot be run: KeyError"):
        SOURCE.open(tmp_path)
