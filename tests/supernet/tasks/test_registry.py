"""Tasks by name."""

from __future__ import annotations

import pytest

import supernet
from supernet.errors import UnknownName
from supernet.tasks.registry import describe_task, load_task, loader_options, task_loader, task_names


@pytest.mark.parametrize("name", task_names())
def test_every_task_describes_itself(name: str) -> None:
    assert len(describe_task(name)) > 20
    assert "\n" not in describe_task(name)


@pytest.mark.parametrize("name", [name for name in task_names() if not any(loader_options(task_loader(name)).values())])
def test_every_task_that_needs_no_data_loads(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert set(task.metrics) >= {"error"}


def test_the_package_offers_it() -> None:
    assert supernet.load_task is load_task


@pytest.mark.parametrize("ask", [load_task, describe_task])
def test_an_unknown_task_names_the_nearest(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UnknownName, match=r"'digit'.*known tasks: digits.*Did you mean 'digits'\?"):
        ask("digit")
    with pytest.raises(UnknownName, match=r"known tasks: digits.*[^?]$"):
        ask("zzz")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UnknownName, match="'digits' has no option 'image_size'; it has none at all"):
        load_task("digits", image_size=32)
