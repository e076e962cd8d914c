"""Settings of all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from predictors.latency.device import usable_cores


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """These networks are tiny: a second thread mostly waits, and where other work uses the cores it waits long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Networks that a test initialises are those of every other run, whatever ran before."""
    torch.manual_seed(0)


def pytest_configure() -> None:
    """Ctrl-C does what it does in a terminal; what a script starts in the background, and all it starts, ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All cores for whole folders, up to four; this process alone for single files, where to start others takes longer.

    `-n 0` runs any tests in this process, for a debugger say.
    """
    folders = all(Path(argument).is_dir() for argument in config.args)
    return min(4, usable_cores()) if folders else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes take file after file: files with slow tests first, so that none is left for the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
        items.sort(key=lambda item: item.path not in slow)
