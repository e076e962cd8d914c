"""Small real studies that the integration tests run, in this process and in others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration import warm

ROOT = warm.ROOT

# A space of 180 architectures: the search looks at the costs of all, which takes longer than to train so few steps.
TINY: dict[str, Any] = {
    "name": "tiny",
    "task": {"name": "digits"},
    "space": {
        "name": "vision_transformer",
        "choices": {
            "depth": [1, 2],
            "width": [16, 32],
            "patch": 4,
            "mixer": ["identity", "convolution", "softmax"],
            "heads": 1,
            "mlp_ratio": 1,
            "bits": [4, 8, 32],
        },
    },
    "objectives": {"error": {}, "latency_ms": {}, "model_bytes": {}},
    "train": {"steps": 30, "batch": 64, "precision": "fp32"},
    "search": {"evaluations": 16, "measured_latencies": 8, "workers": "serial"},
    "retrain": {"steps": 20, "trials": 2},
}

# Without latency nothing is exported before the end, which saves most of the time.
UNTIMED: dict[str, Any] = {**TINY, "name": "untimed", "objectives": {"error": {}, "model_bytes": {}}}

# The same on two workers, with a search that is long enough to be hurt in its middle.
PARALLEL: dict[str, Any] = {
    **UNTIMED,
    "name": "parallel",
    "search": {"evaluations": 28, "measured_latencies": 8, "workers": 2},
    "retrain": {"steps": 8, "trials": 2},
}


def write(path: Path, spec: dict[str, Any]) -> Path:
    """The specification as a study file."""
    path.write_text(json.dumps(spec), encoding="utf-8")
    return path


def environment(home: Path) -> dict[str, str]:
    """For child processes: one thread, so that repeated runs are bit-equal whatever the machine does."""
    return {**os.environ, "SUPERNAUT_HOME": str(home), "OMP_NUM_THREADS": "1"}


def supernaut(
    home: Path, *arguments: str, timeout: float = 500, fresh: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with these environment variables besides.

    `fresh`: started like a user's, not forked from a process that has imported what it needs.
    """
    known = {**environment(home), **variables}
    if not fresh:
        return warm.warm_run("runner.cli.main", arguments, known, timeout=timeout)
    return subprocess.run(
        [sys.executable, "-m", "runner.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=known,
        check=False,
    )
