"""What is said of tasks before they are loaded is what they say themselves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from supernet.errors import IncompatibleTask
from supernet.models.registry import family_names, load_family
from supernet.tasks import audio, images, labelled_text
from supernet.tasks.registry import families_of, load_task, metrics_of, needs_data, task_loader, task_names
from tests.supernet.tasks import test_audio, test_images, test_labelled_text
from tests.supernet.tasks.pictures import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Task


def loaded(name: str, folder: Path) -> Task:
    if name == "images":
        return images.load(data=write_folder(folder, test_images.by_class()), image_size=32)
    if name == "audio":
        return audio.load(data=write_folder(folder, test_audio.by_class()), seconds=0.1, features=20)
    if name == "labelled_text":
        rows = test_labelled_text.sentences(30)
        return labelled_text.load(data=test_labelled_text.write(folder.with_suffix(".tsv"), rows), length=12)
    return load_task(name, **({"max_bytes": 20_000, "length": 64} if name == "text" else {}))


@pytest.mark.parametrize("name", task_names())
def test_metrics_and_families_are_those_of_the_task(name: str, tmp_path: Path) -> None:
    task = loaded(name, tmp_path / "data")
    assert list(metrics_of(name).items()) == list(task.metrics.items())
    fitting = []
    for family in family_names():
        with suppress(IncompatibleTask):
            load_family(family).builder(task)
            fitting.append(family)
    assert sorted(families_of(name)) == sorted(fitting)


@pytest.mark.parametrize("name", task_names())
def test_data_are_needed_where_the_loader_says_so(name: str) -> None:
    import inspect

    parameter = inspect.signature(task_loader(name)).parameters.get("data")
    expected = None if parameter is None else "needed" if parameter.default is parameter.empty else "possible"
    assert needs_data(name) == expected
