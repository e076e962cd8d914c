"""Which axes must be put into another order together, so that a network computes the same as before.

A *unit* (a hidden neuron, a channel, a head, a feature of the residual stream) has elements along axes of several
tensors.  A `Coupling` lists these axes by pattern of name; `find_groups` says which tensors of a model they are, and
checks that they fit each other.  What order is wanted is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch

from supernet.errors import CouplingError

if TYPE_CHECKING:
    from torch import Tensor

    from search_spaces import Architecture
    from supernet.slicing import Shape


@dataclass(frozen=True)
class Axis:
    """One axis of the parameters and buffers whose names match the pattern `name`.

    Along it lie `parts` packed blocks (3 where query, key and value are stacked), each with every unit once, and of a
    unit `block` neighbouring elements (the width of a head).
    """

    name: str
    axis: int = 0
    block: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if self.block < 1 or self.parts < 1:
            raise CouplingError(f"{self.name}: block and parts are at least 1, got {self.block} and {self.parts}.")


@dataclass(frozen=True)
class Coupling:
    """Axes along which the same units lie.

    `at` is a pattern of paths in which a `*` stands for one part: each path that matches has units of its own, and the
    names of its axes go on from there ("layers.*.feed_forward" with "expand.weight").  Without it the units are those
    of the whole model.  In the names of axes a `*` stands for anything, dots included.

    Nothing may be left out: a layer that reads or writes these units and is not listed computes something else after
    they moved.  What matches nothing is refused, unless the coupling is `optional`.
    """

    name: str
    axes: tuple[Axis, ...]
    at: str = ""
    optional: bool = False


Couplings = Sequence[Coupling] | Callable[["Architecture"], Sequence[Coupling]]
"""As they are, or as they follow from the largest architecture."""


@dataclass(frozen=True)
class Member:
    """One axis of one tensor; see `Axis`."""

    tensor: str
    axis: int
    block: int
    parts: int

    def positions(self, order_U: Tensor) -> Tensor:
        """Where along the axis, as it is, each element comes from when the units are put into this order."""
        units = len(order_U)
        where = torch.arange(self.parts * units * self.block).view(self.parts, units, self.block)
        return where[:, order_U].reshape(-1)

    def by_unit(self, along: Tensor) -> Tensor:
        """One value for each element of the axis -> their sum for each unit."""
        return along.view(self.parts, -1, self.block).sum((0, 2))


@dataclass(frozen=True)
class Group:
    """Units that exist, and every axis along which they lie."""

    name: str
    units: int
    members: tuple[Member, ...]


def find_groups(
    couplings: Sequence[Coupling], shapes: Mapping[str, Shape], tied: Mapping[str, str]
) -> tuple[Group, ...]:
    """The groups of a model with tensors of these names and shapes; `tied` gives the first name of each further one.

    Raises `CouplingError` where a pattern matches nothing, or the axes of a group do not have the same units.
    """
    groups = []
    for coupling in couplings:
        paths = [""] if not coupling.at else _paths(coupling.at, [*shapes, *tied])
        if not paths and not coupling.optional:
            raise CouplingError(
                f"the coupling {coupling.name!r} is at {coupling.at!r}, and no part of the model is called so; its "
                f"tensors are {', '.join(list(shapes)[:6])} ..."
            )
        for path in paths:
            members = _members(coupling, path, shapes, tied)
            if members:
                name = f"{coupling.name} at {path}" if path else coupling.name
                groups.append(Group(name, _units(name, members, shapes), members))
    return tuple(groups)


def _paths(pattern: str, names: Sequence[str]) -> list[str]:
    wanted = pattern.split(".")
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        if len(parts) > len(wanted) and all(map(fnmatchcase, parts, wanted)):
            found[".".join(parts[: len(wanted)])] = None
    return list(found)


def _members(coupling: Coupling, path: str, shapes: Mapping[str, Shape], tied: Mapping[str, str]) -> tuple[Member, ...]:
    members: dict[tuple[str, int], Member] = {}
    prefix = f"{path}." if path else ""
    names = [name.removeprefix(prefix) for name in (*shapes, *tied) if name.startswith(prefix)]
    for axis in coupling.axes:
        matching = [name for name in names if fnmatchcase(name, axis.name)]
        if not matching and not coupling.optional:
            near = ", ".join(get_close_matches(axis.name, names, n=3, cutoff=0.3)) or ", ".join(names[:3])
            raise CouplingError(
                f"the coupling {coupling.name!r} lists {prefix + axis.name!r}, which matches no parameter or buffer; "
                f"the nearest names are {near}."
            )
        for name in matching:
            tensor = tied.get(prefix + name, prefix + name)
            dimensions = len(shapes[tensor])
            if not -dimensions <= axis.axis < dimensions:
                raise CouplingError(
                    f"the coupling {coupling.name!r} lists axis {axis.axis} of {tensor}, whose shape is "
                    f"{shapes[tensor]}."
                )
            member = Member(tensor, axis.axis % dimensions, axis.block, axis.parts)
            if members.setdefault((tensor, member.axis), member) != member:
                raise CouplingError(
                    f"the coupling {coupling.name!r} lists axis {member.axis} of {tensor} twice, with different blocks "
                    "or parts; list it once."
                )
    return tuple(members.values())


def _units(name: str, members: Sequence[Member], shapes: Mapping[str, Shape]) -> int:
    counts = {}
    for member in members:
        size, unit = shapes[member.tensor][member.axis], member.block * member.parts
        if size % unit:
            raise CouplingError(
                f"{name}: axis {member.axis} of {member.tensor} is {size} long, which {member.parts} parts of units of "
                f"{member.block} elements do not divide."
            )
        counts[member] = size // unit
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} along axis {m.axis} of {m.tensor}" for m, count in counts.items())
        raise CouplingError(f"{name}: coupled axes have equally many units, and these have {listed}.")
    return next(iter(counts.values()))
