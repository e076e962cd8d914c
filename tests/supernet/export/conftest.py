"""Exports shared by the tests of this folder: the exporter takes a second or more for each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from search_spaces import Architecture
from supernet.export.bundle import Origin, write_bundle, write_formats
from supernet.export.card import Number
from supernet.export.drafts import drafting
from supernet.export.formats.full import Full
from supernet.export.onnx import export_onnx
from supernet.models.registry import load_builder
from supernet.tasks.registry import load_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from supernet.tasks.task import Task

MIXERS = ("identity", "convolution", "windowed", "softmax")


def architecture_of(mixers: Sequence[str], *, width: int, patch: int, heads: int = 2) -> Architecture:
    """One layer for each mixer."""
    answers: dict[str, int | str] = {"depth": len(mixers), "width": width, "patch": patch}
    for index, mixer in enumerate(mixers):
        answers[f"layers.{index}.mixer"] = mixer
        answers[f"layers.{index}.mlp_ratio"] = 1 + index % 2
        if mixer in ("windowed", "softmax"):
            answers[f"layers.{index}.heads"] = heads
        if mixer == "windowed":
            answers[f"layers.{index}.window"] = 2
    return Architecture(answers)


@dataclass(frozen=True)
class Exported:
    """A module and the file it was exported to."""

    architecture: Architecture
    module: nn.Module
    path: Path


def build(architecture: Architecture, task: Task) -> nn.Module:
    """The module with every parameter drawn at random: ones and zeros would hide mistakes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = load_builder("vision_transformer", task)(architecture)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return module.eval()


@pytest.fixture(scope="session")
def task() -> Task:
    return load_task("digits")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, task: Task) -> list[Exported]:
    """All mixers in one model, and a model of another width and patch size."""
    folder = tmp_path_factory.mktemp("exported")
    found = []
    for architecture, examples in (
        (architecture_of(MIXERS, width=32, patch=2), 2),
        (architecture_of(("softmax",), width=48, patch=4, heads=4), 1),
    ):
        module = build(architecture, task)
        path = folder / f"{architecture.digest}.onnx"
        export_onnx(module, task.example(examples), path)
        found.append(Exported(architecture, module, path))
    return found


@dataclass(frozen=True, kw_only=True)
class Copied(Full):
    """A format whose file was written before."""

    path: Path

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        shutil.copyfile(self.path, folder / self.file)
        return (self.file,)


def copied(path: Path, **changes: Any) -> Copied:
    """The main format; `changes` make another one of it."""
    return Copied(
        **{"name": "onnx", "about": "as exported", "file": "model.onnx", "exact": True, "path": path, **changes}
    )


def origin_of(architecture: Architecture, task: Task) -> Origin:
    return Origin(
        study_id="0123abcd",
        study_name="first-light",
        seed=3,
        family="vision_transformer",
        architecture=architecture,
        specification={"name": "first-light", "task": {"name": "digits"}},
        recipe={"start": "inherited", "learning_rate": 0.002, "trials": [{"learning_rate": 0.002, "error": 0.05}]},
        data={"sha256": task.checksum(), "samples": {"train": 5, "validation": 6, "test": 7}, "classes": 10},
        extensions={},
        versions={"torch": torch.__version__},
        commit=None,
        device={"id": "a device", "processor": "a processor", "cores": 2},
    )


def write(folder: Path, one: Exported, task: Task, **changes: Any) -> Path:
    """A bundle of an exported module."""
    formats = changes.pop("formats", (copied(one.path),))
    parts = {
        "module": one.module,
        "task": task,
        "origin": origin_of(one.architecture, task),
        "numbers": NUMBERS,
        "left_out": {},
    }
    with drafting(folder) as draft:
        written = write_formats(draft, formats, one.module, task)
        write_bundle(draft, formats=formats, written=written, **{**parts, **changes})
    return folder


NUMBERS = (
    Number(metric="error", value=0.0412, provenance="inherited", split="validation"),
    Number(metric="error", value=0.0312, provenance="exported", split="test", format="onnx"),
    Number(
        metric="latency_ms",
        value=0.0512,
        provenance="exported",
        lower=0.05,
        upper=0.0533,
        device="a device",
        format="onnx",
    ),
    Number(metric="parameters", value=12_345, provenance="computed"),
)


@pytest.fixture(scope="session")
def whole_bundle(tmp_path_factory: pytest.TempPathFactory, exported: list[Exported], task: Task) -> Path:
    """A bundle that nobody may change; `bundle` is a copy to damage."""
    return write(tmp_path_factory.mktemp("bundles") / "model", exported[0], task)


@pytest.fixture
def bundle(tmp_path: Path, whole_bundle: Path) -> Path:
    return shutil.copytree(whole_bundle, tmp_path / "bundle")
