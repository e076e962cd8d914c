"""Whether every choice makes a difference: to names, shapes and constants, or at least to what is computed.

A value is held against the others of its choice in several contexts, all other answers the same, with the same shared
weights; first in evaluation mode, and if that shows nothing in training mode with one seed (dropout rates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces import SpaceError
from supernet.inspection.factory import print_of
from supernet.inspection.finding import Finding, problem, warning
from supernet.skeleton import build_real, build_skeleton

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from search_spaces import Architecture, SearchSpace
    from search_spaces.values import Value
    from supernet.inspection.standard_values import StandardValues
    from supernet.skeleton import Build

CONTEXTS = 4


def ignored_choices(
    build: Build,
    space: SearchSpace,
    contexts: Sequence[Architecture],
    values: StandardValues,
    inputs: Tensor,
    seed: int,
) -> list[Finding]:
    """A problem for each choice that makes no difference anywhere, a warning for values that never do."""
    look = _Look(build, values, inputs, seed)
    found = []
    for name, choice in space.choices.items():
        if len(choice.values) < 2:
            continue
        together = [list(choice.values)]  # values that nothing has told apart yet
        tried = 0
        met: set[Value] = set()  # values that were compared with another
        for context in contexts:
            if tried == CONTEXTS or all(len(group) == 1 for group in together):
                break
            if name in context:
                variants = _variants(space, context, name, choice.values)
                if len(variants) < 2:
                    continue
                tried += 1
                met |= variants.keys()
                together = [part for group in together for part in look.told_apart(group, variants)]
        if len(together) == 1 and len(met) == len(choice.values):
            found.append(
                problem(
                    "ignored-choice",
                    name,
                    f"the choice {name} changes nothing: the modules of all its values ({_listed(choice.values)}) have "
                    f"the same names, shapes, buffers and outputs in {tried} contexts. Use it in build, or remove it.",
                )
            )
            continue
        found += [
            warning(
                "equal-values",
                name,
                f"the values {_listed(group)} of {name} gave the same module and outputs in {tried} contexts; with "
                "other inputs they may not.",
            )
            for group in ([value for value in part if value in met] for part in together)
            if len(group) > 1
        ]
    return found


def _variants(
    space: SearchSpace, context: Architecture, name: str, values: Sequence[Value]
) -> dict[Value, Architecture]:
    """The context with each value of one choice; choices that a value makes active take their smallest answer."""
    others = {other: answer for other, answer in context.items() if other != name}
    found: dict[Value, Architecture] = {}
    for value in values:
        try:
            found[value] = space.fix({**others, name: value}).smallest()
        except SpaceError:  # the constraints allow no such architecture
            continue
    return found


class _Look:
    """Tells architectures apart, by what is cheapest first."""

    def __init__(self, build: Build, values: StandardValues, inputs: Tensor, seed: int) -> None:
        self._build = build
        self._values = values
        self._inputs = inputs
        self._seed = seed

    def told_apart(self, group: Sequence[Value], variants: dict[Value, Architecture]) -> list[list[Value]]:
        """The group in parts that look alike; what has no variant in this context stays with the first part."""
        parts = [[value for value in group if value in variants]]
        missing = [value for value in group if value not in variants]
        for sight in (self._structure, self._outputs, self._in_training):
            parts = [finer for part in parts for finer in self._split(part, variants, sight)]
        parts = [part for part in parts if part] or [[]]
        parts[0] += missing
        return parts

    @staticmethod
    def _split(part: list[Value], variants: dict[Value, Architecture], sight: object) -> list[list[Value]]:
        if len(part) < 2:
            return [part]
        assert callable(sight)
        alike: dict[object, list[Value]] = {}
        for value in part:
            alike.setdefault(sight(variants[value]), []).append(value)
        return list(alike.values())

    def _structure(self, architecture: Architecture) -> object:
        skeleton = build_skeleton(self._build, architecture, self._seed)
        return tuple((leaf.name, leaf.shape, leaf.dtype, leaf.requires_grad) for leaf in skeleton.leaves)

    def _outputs(self, architecture: Architecture) -> object:
        return print_of(build_real(self._build, architecture, self._seed), self._values, self._inputs)

    def _in_training(self, architecture: Architecture) -> object:
        module = build_real(self._build, architecture, self._seed)
        return print_of(module, self._values, self._inputs, training=True)


def _listed(values: Sequence[Value]) -> str:
    return ", ".join(map(str, values))
