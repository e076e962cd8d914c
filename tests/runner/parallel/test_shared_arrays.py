"""Packing, and pages that cannot be written; what Ray adds is in test_ray_pool."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import warnings

import numpy as np
import pytest

from runner.parallel.errors import InvalidResources
from runner.parallel.resources import Resources
from runner.parallel.shared_arrays import packed, protected

ARRAYS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "transposed": np.arange(12, dtype=np.float64).reshape(3, 4).T,
    "strided": np.arange(100, dtype=np.int8)[::7],
    "empty": np.zeros((0, 5), dtype=np.int64),
    "scalar": np.array(2.5, dtype=np.float16),
    "large": np.arange(300_000, dtype=np.uint16),
    "flags": np.array([True, False]),
    "complex": np.array([1 + 2j], dtype=np.complex64),
    "big-endian": np.arange(5, dtype=">i4"),
}


def test_every_array_comes_back_equal_aligned_and_without_a_copy() -> None:
    buffer, layout = packed(ARRAYS)
    views = layout.views(buffer)
    assert list(views) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert views[name].dtype == array.dtype
        assert views[name].shape == array.shape
        assert (views[name] == array).all()
        assert not views[name].flags.owndata
        assert (views[name].ctypes.data - buffer.ctypes.data) % 64 == 0


def test_the_first_and_the_last_page_hold_no_array() -> None:
    buffer, layout = packed(ARRAYS)
    for view in layout.views(buffer).values():
        if view.nbytes:
            first = view.ctypes.data - buffer.ctypes.data
            assert first >= mmap.PAGESIZE
            assert first + view.nbytes <= buffer.nbytes - mmap.PAGESIZE


@pytest.mark.parametrize("array", [np.array([{}]), np.array(["text"]), np.zeros(2, dtype=[("x", "f4")])])
def test_only_plain_numbers_are_shared(array: np.ndarray) -> None:
    with pytest.raises(InvalidResources, match="the shared array 'odd' is of"):
        packed({"odd": array})


def _write(kind: str) -> None:
    import torch

    buffer, layout = packed(ARRAYS)
    kept = protected(buffer)
    assert kept is buffer
    views = layout.views(kept)
    warnings.simplefilter("ignore")
    buffer[0] = buffer[-1] = 1  # the spare pages may be somebody else's
    if kind == "numpy":
        views["scalar"][...] = 0
    elif kind == "torch":
        torch.from_numpy(views["matrix"]).add_(1)
    os._exit(0)  # what an ordinary exit does with memory that is protected still is not the question


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "code"), [("none", 0), ("numpy", -signal.SIGSEGV), ("torch", -signal.SIGSEGV)])
def test_a_write_ends_the_process(kind: str, code: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(kind,))
    process.start()
    process.join(60)
    assert process.exitcode == code


def test_where_pages_cannot_be_protected_there_is_a_private_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.parallel.shared_arrays.ctypes.CDLL", lambda _: object())
    buffer, layout = packed(ARRAYS)
    kept = protected(buffer)
    layout.views(kept)["matrix"][...] = -1.0
    assert (layout.views(buffer)["matrix"] == ARRAYS["matrix"]).all()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpus": -1}, "0 or a positive number, got -1"),
        ({"cpus": float("inf")}, "positive number, got inf"),
        ({"gpus": -0.5}, "got -0.5"),
        ({"gpus": 1.5}, "whole number, got gpus=1.5"),
    ],
)
def test_resources_that_make_no_sense(resources: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidResources, match=message):
        Resources(**resources)
