"""The convolutional network: how many blocks each stage has and how wide it is; for each block its kernel, its
expansion, and whether an attention block stands there, and which.

Owns names and values.  What a block computes is in `supernet/models/convnet.py`.  Bits are no choice here: only
linear maps are stored in fewer bits, and nearly all of this family's weights are convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.choice import Ordinal
from search_spaces.constraint import Condition
from search_spaces.errors import SpaceError
from search_spaces.options import Levels, Names, WholeNumbers
from search_spaces.registry import Family
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from search_spaces.choice import Choice

ATTENTION = ("none", "eca", "se")  # cheapest first
KERNELS = (3, 5, 7)
NAME = "convnet"


def _build(
    *, stages: Choice, depth: Choice, width: Choice, kernel: Choice, expansion: Choice, attention: Choice
) -> SearchSpace:
    if len(stages.values) > 1:
        offered = ", ".join(map(str, stages.values))
        raise SpaceError(f"{NAME}: option 'stages' is fixed for a space and takes one number, got {offered}; keep one")
    count, deepest = stages.values[0], depth.values[-1]
    assert isinstance(count, int)
    assert isinstance(deepest, int)
    block = {"attention": attention, "kernel": Ordinal(*_numbers(kernel)), "expansion": expansion}
    choices: dict[str, Choice] = {}
    conditions: dict[str, Condition] = {}
    for stage in range(count):
        prefix = f"stages.{stage}"
        choices[f"{prefix}.depth"] = depth
        choices[f"{prefix}.width"] = Ordinal(*(number * 2**stage for number in _numbers(width)))
        for index in range(deepest):
            exists = Condition(f"{prefix}.depth", tuple(range(index + 1, deepest + 1)))
            for name, choice in block.items():
                full_name = f"{prefix}.blocks.{index}.{name}"
                choices[full_name] = choice
                conditions[full_name] = exists
    return SearchSpace(choices, conditions=conditions)


def _numbers(choice: Choice) -> tuple[int, ...]:
    return tuple(value for value in choice.values if isinstance(value, int))


FAMILY = Family(
    name=NAME,
    summary="Convolutional network: depth and width by stage; kernel, expansion and attention by block",
    options=(
        WholeNumbers(name="stages", about="number of stages; each halves the image", default=(2,), maximum=8),
        WholeNumbers(name="depth", about="blocks of a stage", default=(1, 2, 3), maximum=64),
        WholeNumbers(
            name="width", about="channels of the first stage; each later stage has twice as many", default=(16, 24, 32)
        ),
        Levels(name="kernel", about="side of a depthwise kernel, in pixels", default=KERNELS, allowed=KERNELS),
        WholeNumbers(name="expansion", about="channels within a block over those it is given", default=(2, 3, 4)),
        Names(name="attention", about="attention block within a block", default=ATTENTION, allowed=ATTENTION),
    ),
    build=_build,
)
