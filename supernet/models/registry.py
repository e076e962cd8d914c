"""Which model families exist, by the names of their spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet.compression import compressed
from supernet.errors import UnknownName
from supernet.models import causal_lm, convnet, tdnn, text_encoder, vision_transformer

if TYPE_CHECKING:
    from supernet.models.family import ModelFamily
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

_FAMILIES: dict[str, ModelFamily] = {
    family.name: family
    for family in (
        causal_lm.FAMILY,
        convnet.FAMILY,
        tdnn.FAMILY,
        text_encoder.FAMILY,
        vision_transformer.FAMILY,
    )
}


def family_names() -> tuple[str, ...]:
    """The families that `load_family` knows."""
    return tuple(_FAMILIES)


def load_family(name: str) -> ModelFamily:
    """The family of this name.  Raises `UnknownName`."""
    if name not in _FAMILIES:
        raise UnknownName(f"there is no model family {name!r}; known families: {', '.join(_FAMILIES)}.")
    return _FAMILIES[name]


def load_builder(family: str, task: Task) -> Build:
    """`build(architecture)` of a family, sized for a task and compressed as it answers.

    Raises `UnknownName`, or `IncompatibleTask` where the family cannot take the task.
    """
    return builder_of(load_family(family), task)


def builder_of(family: ModelFamily, task: Task) -> Build:
    """As `load_builder`, of a family that need not be listed here."""
    return compressed(family.builder(task))
