"""Evaluators that behave and misbehave, by the answer `a` of the architecture that they are given."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.runner.search.spaces import measure

if TYPE_CHECKING:
    from runner.search import Evaluator
    from search_spaces import Architecture


class Unpicklable(Exception):
    """Holds what cannot be sent to another process."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class Unpickled(Exception):
    """Can be sent, but not received: its constructor wants more than its text."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class OutOfMemoryError(RuntimeError):
    """As torch calls its own."""


def _raise(error: BaseException) -> None:
    raise error


def behave(architecture: Architecture) -> Any:
    """What the contract asks for, by name."""
    actions: dict[str, Any] = {
        "return": lambda: {"error": np.float32(0.5), "count": 3},
        "nan": lambda: {"error": float("nan")},
        "nothing": lambda: None,
        "text": lambda: {"error": "high"},
        "raise": lambda: _raise(ValueError("no luck")),
        "raise-unpicklable": lambda: _raise(Unpicklable()),
        "raise-unpickled": lambda: _raise(Unpickled(1, 2)),
        "memory": lambda: np.zeros(2**50),
        "memory-by-name": lambda: _raise(OutOfMemoryError("device is full")),
        "sleep": lambda: time.sleep(30.0),
        "hold": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),  # keeps the interpreter's lock for ever
        "exit": lambda: _raise(SystemExit(3)),
        "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "abort": lambda: os.abort(),
        "pid": lambda: {"error": 0.0, "pid": os.getpid()},
        "lock": lambda: {"error": 0.0, "lock": threading.Lock()},
    }
    return actions[str(architecture["a"])]()


def make_behave(arrays: Mapping[str, Any]) -> Evaluator:
    return behave


def make_measure(arrays: Mapping[str, Any]) -> Evaluator:
    return measure


def make_fails(arrays: Mapping[str, Any]) -> Evaluator:
    raise RuntimeError("no such file")


def make_dies(arrays: Mapping[str, Any]) -> Evaluator:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


@dataclass(frozen=True)
class Gate:
    """Waits until a file named after the answer `a` appears; notes that it began, and its process."""

    folder: Path

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        name = str(architecture["a"])
        (self.folder / f"{name}.began").touch()
        while not (self.folder / f"{name}.open").exists():
            time.sleep(0.01)
        return {"error": 0.0, "pid": os.getpid()}


@dataclass(frozen=True)
class MakeGate:
    folder: Path

    def __call__(self, arrays: Mapping[str, Any]) -> Evaluator:
        return Gate(self.folder)


def make_threads(arrays: Mapping[str, Any]) -> Evaluator:
    import torch
    from threadpoolctl import threadpool_info

    def evaluate(architecture: Architecture) -> dict[str, float]:
        np.ones((8, 8)) @ np.ones((8, 8))
        return {
            "error": 0.0,
            "torch": torch.get_num_threads(),
            "pools": max(pool["num_threads"] for pool in threadpool_info()),
            "variable": float(os.environ["OMP_NUM_THREADS"]),
        }

    return evaluate


@dataclass(frozen=True)
class SharedReader:
    """Reads the shared arrays, tells whether they are shared, or writes to them."""

    arrays: Mapping[str, Any]

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        values = {"error": 0.0, "pid": float(os.getpid())}
        if architecture["a"] == "write":
            import torch

            torch.from_numpy(self.arrays["weights"]).add_(1)
        if architecture["a"] == "write-numpy":
            self.arrays["weights"][...] = 0.0
        for name, array in self.arrays.items():
            values[f"sum.{name}"] = float(array.sum(dtype=np.float64))
            values[f"aligned.{name}"] = float(array.ctypes.data % 64 == 0)
            values[f"shared.{name}"] = float(_lies_in_shared_memory(array))
        return values


def make_reader(arrays: Mapping[str, Any]) -> Evaluator:
    import warnings

    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    return SharedReader(arrays)


def _lies_in_shared_memory(array: Any) -> bool:
    """Whether the memory of an array is a mapping of a file in /dev/shm, which is where Ray shares it."""
    address = array.ctypes.data
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            return "/dev/shm/" in line
    return False
