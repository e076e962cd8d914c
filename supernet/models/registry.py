"""Which model families exist, by the names of their spaces, and how each is built for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet.compression import compressed
from supernet.errors import UnknownName
from supernet.models import vision_transformer

if TYPE_CHECKING:
    from collections.abc import Callable

    from supernet.skeleton import Build
    from supernet.tasks.task import Task


def _vision_transformer(task: Task) -> Build:
    if len(task.input_shape) != 3 or task.input_shape[1] != task.input_shape[2]:
        raise UnknownName(
            f"vision_transformer needs square images (channels, size, size); task {task.name!r} has inputs of "
            f"shape {task.input_shape}."
        )
    channels, size, _ = task.input_shape
    return vision_transformer.builder(
        vision_transformer.VisionTransformerConfig(image_size=size, channels=channels, classes=task.classes)
    )


_FAMILIES: dict[str, Callable[[Task], Build]] = {"vision_transformer": _vision_transformer}


def family_names() -> tuple[str, ...]:
    """The families that `load_builder` knows."""
    return tuple(_FAMILIES)


def load_builder(family: str, task: Task) -> Build:
    """`build(architecture)` of a family, sized for a task and compressed as it answers.  Raises `UnknownName`."""
    if family not in _FAMILIES:
        raise UnknownName(f"there is no model family {family!r}; known families: {', '.join(_FAMILIES)}.")
    return compressed(_FAMILIES[family](task))
