"""What made a bundle: the versions of what it was made with, the commit of Supernaut, the device."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from predictors.latency.device import this_device
from supernet.export.runtime import runtime_version

if TYPE_CHECKING:
    from runner.work import StudyWork

RECORDED_PACKAGES = ("supernaut", "torch", "onnx", "onnxruntime", "onnxscript", "numpy", "scikit-learn", "safetensors")
_GIT_SECONDS = 10.0


def versions_here() -> dict[str, str]:
    """The versions that numbers may depend on."""
    found = {name: version(name) for name in RECORDED_PACKAGES}
    return {**found, "python": platform.python_version(), "runtime": runtime_version()}


@cache
def commit_here() -> str | None:
    """The commit of the checkout that this package lies in, with `-dirty` where files differ from it; else None."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():  # installed, though perhaps within somebody's repository
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, or it does not trust this folder's owner
        return None
    return done.stdout.strip() or None


def describe_device(work: StudyWork) -> dict[str, Any]:
    """The machine, and what its latencies are relative to: enough to repeat the measurement."""
    here = this_device()
    described: dict[str, Any] = {"id": here.fingerprint, **here.describe(), "torch_threads": torch.get_num_threads()}
    if work.plan.latencies:
        described["reference_ms"] = work.repository.device(here.fingerprint).reference_ms
        described["latency_settings"] = {metric: work.timer.describe(metric) for metric in work.plan.latencies}
    return described
