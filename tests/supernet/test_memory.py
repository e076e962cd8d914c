"""Borrowing leaves the process as large as it was, however many architectures there are."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import SharedWeights
from tests.supernet.toys import inputs, of_width, perceptrons

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
STATM = Path("/proc/self/statm")
SIZES = range(1, 101)
SPACE = SearchSpace({"hidden": Ordinal(*SIZES), "classes": Ordinal(*SIZES)})
ROOM_MB = 8  # for what the allocator keeps; ten thousand modules and their skeletons would take some 200


class Classifier(nn.Module):
    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(20, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.norm(self.hidden(x))))
        return out


def classifier(architecture: Architecture) -> nn.Module:
    return Classifier(int(architecture["hidden"]), int(architecture["classes"]))


def matrix(architecture: Architecture) -> nn.Module:
    """As little as ten thousand different architectures can be told by."""
    return nn.Linear(int(architecture["hidden"]), int(architecture["classes"]))


def everything() -> Iterator[Architecture]:
    """Ten thousand architectures, sizes in an order that is not that of growth."""
    for hidden, classes in product(SIZES, SIZES):
        yield Architecture({"hidden": 37 * hidden % 101, "classes": 37 * classes % 101})


def resident_mb() -> float:
    return int(STATM.read_text().split()[1]) * 4096 / 1e6


class Growth:
    """How many objects and how much memory the process has more than when this was made."""

    def __init__(self) -> None:
        gc.collect()
        self.memory_mb, self.objects = resident_mb(), len(gc.get_objects())

    def check(self) -> None:
        gc.collect()
        assert abs(len(gc.get_objects()) - self.objects) < 1000
        assert resident_mb() - self.memory_mb < ROOM_MB


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="needs /proc, which tells how much memory the process has")
@pytest.mark.parametrize("work", ["borrow_ten_thousand", "train_five_hundred"])
def test_in_a_process_of_its_own_memory_stays_flat(work: str) -> None:
    """In one that has run other tests the allocator grows for reasons of their own."""
    code = f"from tests.supernet import test_memory; test_memory.{work}()"
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def borrow_ten_thousand() -> None:
    weights, architectures = SharedWeights(matrix, SPACE), everything()
    for architecture in islice(architectures, 200):
        weights.borrow(architecture)
    start, number = Growth(), 200
    for architecture in architectures:
        weights.borrow(architecture)
        number += 1
    assert number == 10_000
    assert len(weights._cache) == 64
    start.check()


def train_five_hundred() -> None:
    weights, architectures, x = SharedWeights(classifier, SPACE), everything(), inputs(4, 20)
    optimizer = torch.optim.AdamW(weights.parameters(), fused=True)
    start: Growth | None = None
    for step, architecture in enumerate(islice(architectures, 500)):
        if step == 100:
            start = Growth()
        optimizer.zero_grad()
        weights.borrow(architecture)(x).square().mean().backward()
        optimizer.step()
    assert start is not None
    start.check()


def test_a_borrowed_module_does_not_wait_for_the_garbage_collector() -> None:
    weights = perceptrons()
    gc.collect()
    gc.disable()
    try:
        subnet = weights.borrow(of_width(3))
        subnet(inputs(3, 5)).square().sum().backward()
        gone = [weakref.ref(one) for one in (subnet, subnet.hidden, subnet.hidden.weight)]
        del subnet
        assert [one() for one in gone] == [None, None, None]
    finally:
        gc.enable()
