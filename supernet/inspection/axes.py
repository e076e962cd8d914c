"""Which axes of tensors are one and the same, and how the elements of a split or joined axis are read.

While a module runs, each tensor that an operation computes gets an axis object for each of its dimensions, and each of
its elements a number.  Moving elements about (views, splits, transposes, concatenations) moves their numbers.  Where an
operation reads the result, the numbers tell where the elements of each axis have got to:

- every element at the place of its own index: it is the same axis under another name, and the two become one;
- anything else (an axis that was split in two, of which a part was cut out, or that was put together from several):
  the *role* of each element is recorded, that is its place, or where it came from.

A smaller network is nested in a larger one where an element has the same role in both.  This module knows nothing of
operations (`signatures`), of modules (`trace`) and of layouts (`nesting`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

Reading = tuple["Hashable", ...]  # the path of the submodule first
NOTHING = -1  # the number of an element that no tensor of interest holds: padding, constants


@dataclass(frozen=True, eq=False)
class Role:
    """Of each element of an axis, a row of whole numbers: a place, or where it came from.  -1 where it is not read."""

    rows: NDArray[np.int64]
    columns: tuple[tuple[Axis, ...], ...]  # the axes that each column is about

    @property
    def meaningless(self) -> tuple[int, ...]:
        """The columns about an axis along which an operand repeats itself.

        The first of two query heads that read one K head is not the first of three: such places mean nothing alone.
        """
        return tuple(n for n, axes in enumerate(self.columns) if any(axis.root.repeated for axis in axes))

    @property
    def told(self) -> NDArray[np.int64]:
        """The rows without what is `meaningless`."""
        rows = self.rows.copy()
        for number in self.meaningless:
            rows[:, number][rows[:, number] != NOTHING] = 0
        return rows


class Axis:
    """One axis of one or more tensors, all of the same length.  Those that turn out to be the same are `merge`d."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._parent: Axis | None = None
        self._roles: dict[Reading, Role] = {}
        self._unfollowed: set[str] = set()
        self._kernel = False
        self.repeated = False  # whether an operand repeats its elements along it; of the `root`

    @property
    def root(self) -> Axis:
        """The one axis that stands for all that were merged with this one."""
        here = self
        while here._parent is not None:
            if here._parent._parent is not None:
                here._parent = here._parent._parent
            here = here._parent
        return here

    @property
    def roles(self) -> dict[Reading, Role]:
        """For each reading, what the elements are in it."""
        return self.root._roles

    @property
    def unfollowed(self) -> set[str]:
        """The operations that read the axis and that are not understood."""
        return self.root._unfollowed

    @property
    def kernel(self) -> bool:
        """Whether it is the length of a convolution's kernel."""
        return self.root._kernel

    @kernel.setter
    def kernel(self, value: bool) -> None:
        self.root._kernel = value

    def merge(self, other: Axis) -> None:
        """From now on these are one axis."""
        first, second = self.root, other.root
        if first is second:
            return
        assert first.size == second.size
        second._parent = first
        first._roles.update(second._roles)
        first._unfollowed |= second._unfollowed
        first._kernel = first._kernel or second._kernel
        first.repeated = first.repeated or second.repeated


@dataclass(frozen=True, eq=False)
class Source:
    """A tensor that was computed: its elements are numbered from `base` on, in C order."""

    base: int
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """By how much the number grows along each axis."""
        return tuple(int(np.prod(self.shape[axis + 1 :], dtype=np.int64)) for axis in range(len(self.shape)))

    def coordinates(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """(elements,) -> (elements, axes)."""
        if not self.shape:
            return np.zeros((len(numbers), 0), dtype=np.int64)
        return np.stack(np.unravel_index(numbers - self.base, self.shape), axis=1).astype(np.int64)


@dataclass
class Numbering:
    """The numbers that were given out, and to which tensors."""

    sources: list[Source] = field(default_factory=list)
    _next: int = 0

    def source(self, shape: Sequence[int], axes: Sequence[Axis] | None = None) -> Source:
        """Numbers for all elements of a new tensor."""
        made = tuple(axes) if axes is not None else tuple(Axis(size) for size in shape)
        source = Source(self._next, tuple(shape), made)
        self._next += max(1, int(np.prod(shape, dtype=np.int64)))
        self.sources.append(source)
        return source

    def of(self, number: int) -> Source:
        """Whose element has this number."""
        return self.sources[bisect_right(self.sources, number, key=lambda source: source.base) - 1]

    def among(self, numbers: NDArray[np.int64]) -> list[Source]:
        """Whose elements these are, in the order of their first appearance."""
        flat = numbers.ravel()
        bases = np.array([source.base for source in self.sources])
        owners = np.searchsorted(bases, flat[flat != NOTHING], side="right") - 1
        _, first = np.unique(owners, return_index=True)
        return [self.sources[owners[position]] for position in sorted(first)]


def read(numbering: Numbering, numbers: NDArray[np.int64], places: Sequence[Axis | None], reading: Reading) -> None:
    """An operation reads elements with these numbers at these places, one axis for each dimension of `numbers`.

    None is a dimension whose place means nothing: it is broadcast.  `reading` tells this reading from all others of
    the same run, in words that the same reading has in another architecture.
    """
    if not numbers.size or not (numbers != NOTHING).any():
        return
    first = np.unravel_index(int((numbers != NOTHING).argmax()), numbers.shape)
    for dimension, place in enumerate(places):
        if place is not None and numbers.shape[dimension] > 1:
            line = numbers[tuple(slice(None) if d == dimension else at for d, at in enumerate(first))]
            _arriving(numbering, line, place, (*reading, "from", dimension))
    for ordinal, source in enumerate(numbering.among(numbers)):
        for axis, size in enumerate(source.shape):
            if size > 1:
                _leaving(source, axis, numbers, places, (*reading, "to", ordinal, axis))


def _arriving(numbering: Numbering, line: NDArray[np.int64], place: Axis, reading: Reading) -> None:
    """What comes in along one axis of an operation, at one place of all its other axes."""
    sources = numbering.among(line)
    if len(sources) == 1 and (line != NOTHING).all():
        (source,) = sources
        coordinates = source.coordinates(line)
        varying = _varying(coordinates)
        if len(varying) < 2:  # the same axis, a part of it, or nothing at all: for `_leaving` to say
            return
    rows = np.full((len(line), 1 + max(len(source.shape) for source in sources)), NOTHING, dtype=np.int64)
    for ordinal, source in enumerate(sources):
        mine = np.flatnonzero((line >= source.base) & (line < source.base + int(np.prod(source.shape, dtype=np.int64))))
        coordinates = source.coordinates(line[mine])
        rows[mine, 0] = ordinal
        rows[mine, 1:] = 0  # also where it does not vary: one head alone is the first
        for axis in _varying(coordinates):
            rows[mine, 1 + axis] = coordinates[:, axis]
    width = rows.shape[1] - 1
    columns = [tuple(source.axes[axis] for source in sources if axis < len(source.axes)) for axis in range(width)]
    place.roles[(*reading, len(sources))] = Role(rows, ((), *columns))


def _leaving(
    source: Source, axis: int, numbers: NDArray[np.int64], places: Sequence[Axis | None], reading: Reading
) -> None:
    """Where the elements along one axis of a tensor have got to, those at one index of all its other axes."""
    size, stride = source.shape[axis], source.strides[axis]
    end = source.base + int(np.prod(source.shape, dtype=np.int64))
    mine = (numbers >= source.base) & (numbers < end)
    start = int(numbers[mine].min())
    start -= ((start - source.base) // stride % size) * stride
    offsets = numbers - start
    mine &= (offsets >= 0) & (offsets % stride == 0) & (offsets < size * stride)
    positions = np.stack(np.nonzero(mine), axis=1)
    indices = offsets[mine] // stride
    order = np.argsort(indices, kind="stable")
    positions, indices = positions[order], indices[order]
    present, first = np.unique(indices, return_index=True)
    once = positions[first]
    meaningless = {d for d, place in enumerate(places) if place is None}
    repeated = _varying(positions - once[np.searchsorted(present, indices)])  # the same element at several places
    for dimension in repeated:
        place = places[dimension]
        if place is not None:
            place.root.repeated = True
    found = [d for d in _varying(once) if d not in repeated and d not in meaningless]
    whole = len(present) == size
    if not found and (whole or repeated):
        return
    if len(found) == 1 and whole:
        (dimension,) = found
        place, steps = places[dimension], once[:, dimension] - np.arange(size)
        assert place is not None
        if not steps.any() and place.size == size:
            source.axes[axis].merge(place)
            return
        if place.size > size:  # one part of a longer axis, joined with others: `_arriving` has recorded it
            return
    rows = np.full((size, numbers.ndim), NOTHING, dtype=np.int64)
    rows[present] = 0
    for dimension in found:  # by rank: an axis may be joined with others whose length is no matter
        rows[present, dimension] = np.unique(once[:, dimension], return_inverse=True)[1]
    source.axes[axis].roles[reading] = Role(rows, tuple(() if place is None else (place,) for place in places))


def _varying(coordinates: NDArray[np.int64]) -> list[int]:
    """The columns in which not all rows agree."""
    if not len(coordinates):
        return []
    return np.flatnonzero((coordinates != coordinates[0]).any(axis=0)).tolist()
