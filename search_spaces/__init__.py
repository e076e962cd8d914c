"""What can be chosen: choices, search spaces and architectures.

No tensor library is imported here or below, so that importing this package takes milliseconds.  What an
architecture computes, costs or scores is the business of `supernet` and `predictors`.
"""

from __future__ import annotations

from search_spaces.architecture import Architecture
from search_spaces.choice import Categorical, Choice, Ordinal
from search_spaces.constraint import Condition, Constraint
from search_spaces.errors import InfeasibleSpace, InvalidArchitecture, SpaceError, UnknownChoice, UnknownSpace
from search_spaces.given import GivenSpace
from search_spaces.layers import LayerChoices, layered, per_layer
from search_spaces.options import Levels, Names, Option, WholeNumbers
from search_spaces.registry import (
    Family,
    OptionDescription,
    SpaceDescription,
    describe_space,
    load_space,
    space_family,
    space_names,
)
from search_spaces.space import SearchSpace
from search_spaces.values import Value

__all__ = [
    "SearchSpace",
    "Categorical",
    "Ordinal",
    "Choice",
    "Condition",
    "Constraint",
    "Architecture",
    "Value",
    "per_layer",
    "layered",
    "LayerChoices",
    "load_space",
    "space_names",
    "describe_space",
    "space_family",
    "Family",
    "GivenSpace",
    "Option",
    "WholeNumbers",
    "Names",
    "Levels",
    "SpaceDescription",
    "OptionDescription",
    "SpaceError",
    "InvalidArchitecture",
    "InfeasibleSpace",
    "UnknownChoice",
    "UnknownSpace",
]
