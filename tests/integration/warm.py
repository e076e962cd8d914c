"""A process that has imported what studies need, and forks for each command: the imports take longer than the study.

What it forks is a process of its own as far as signals, exit codes, files and locks are concerned.  It shares with its
siblings the order of sets of strings: run what is compared to it with `fresh=True` (see `studies.supernaut`).
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

MODULES = (
    "runner.cli.main",
    "runner.cli.studies",
    "runner.pipeline",
    "runner.client",
    "onnxscript.function_libs.torch_lib.ops",
    "torch._dynamo",
    "torch.onnx._internal.exporter._core",
    "torch.onnx._internal.exporter._torchlib.ops",
    "tests.integration.killed_run",
)


def warm_run(
    module: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    *,
    cwd: Path = ROOT,
    timeout: float = 500,
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` says of `python -m MODULE ARGUMENTS`.  Raises `TimeoutExpired` as it does."""
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        request = {
            "module": module,
            "arguments": arguments,
            "environment": environment,
            "cwd": str(cwd),
            "out": str(out),
            "err": str(err),
            "timeout": timeout,
        }
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the process that forks is gone"
        status = json.loads(answer)
        if status is None:
            raise subprocess.TimeoutExpired([module, *arguments], timeout, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess([module, *arguments], status, out.read_text(), err.read_text())


@functools.cache
def _process() -> subprocess.Popen[str]:
    """One for all tests of this process; it ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.warm"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def serve() -> None:
    """Fork for every line; answer with the exit status, or null where it had no time left."""
    for name in MODULES:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a fork would lose threads"
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        status = _wait(child, request["timeout"])
        sys.stdout.write(json.dumps(status) + "\n")
        sys.stdout.flush()


def _become(request: dict[str, Any]) -> None:
    """In the child: end as the module's `main` ends."""
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", *sys.path)]
    sys.argv = [request["module"], *request["arguments"]]
    importlib.import_module(request["module"]).main()
    raise SystemExit


def _wait(child: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    serve()
