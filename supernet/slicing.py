"""Which part of a shared tensor an architecture uses: the one owner of that decision.

Borrowing, extracting, gradient routing and counting all ask a `Layout` for *regions*: pairs of rectangles, one
in the shared tensor and one in the subnet's.  One region that fills the subnet's tensor can be a view; several
need a copy.  This module knows shapes and patterns of names; of modules it knows only which of torch's stack blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from supernet.errors import LayoutError, ShapeTooLarge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

Shape = tuple[int, ...]
Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Region:
    """One rectangle: where it lies in the shared tensor, and where in the subnet's."""

    shared: Slices
    subnet: Slices


class Layout(Protocol):
    """How the elements of a smaller tensor lie in a larger one of the same name."""

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """Disjoint regions that together fill `subnet`, no axis of which is longer than `shared`'s.

        Raises `LayoutError` where the layout does not fit.
        """
        ...


@dataclass(frozen=True)
class Leading:
    """The first elements of each axis: right where the leading rows and columns keep their meaning."""

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """One region, at the origin of every axis."""
        del shared
        where = tuple(slice(0, n) for n in subnet)
        return (Region(where, where),)


@dataclass(frozen=True)
class Packed:
    """`parts` equal blocks stacked along one axis, each sliced from its own start.

    For a projection that stacks query, key and value (`Packed(3)`), for LSTM gates (`Packed(4)`), for flattened
    or concatenated axes.  Inside a block, and on the other axes, the leading elements are taken.
    """

    parts: int
    axis: int = 0

    def __post_init__(self) -> None:
        if self.parts < 2:
            raise LayoutError(f"Packed needs at least 2 parts, got {self.parts}; use Leading() for one.")

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """One region a block, or a single one where every block is whole."""
        return PackedAxes((self,)).regions(shared, subnet)

    def blocks(self, shared: Shape, subnet: Shape) -> tuple[int, tuple[tuple[slice, slice], ...]]:
        """The axis, and for each block where it lies along that axis in the shared tensor and in the subnet's."""
        if not -len(subnet) <= self.axis < len(subnet):
            raise LayoutError(f"Packed axis {self.axis} does not exist in a tensor of shape {subnet}.")
        axis = self.axis % len(subnet)
        for what, size in (("shared", shared[axis]), ("subnet", subnet[axis])):
            if size % self.parts:
                raise LayoutError(
                    f"Packed({self.parts}) cannot divide axis {axis} of the {what} tensor, which is {size} "
                    "long; declare the number of blocks that the module really stacks."
                )
        if shared[axis] == subnet[axis]:
            return axis, ((slice(0, shared[axis]),) * 2,)
        stride, block = shared[axis] // self.parts, subnet[axis] // self.parts
        starts = ((part * stride, part * block) for part in range(self.parts))
        return axis, tuple((slice(out, out + block), slice(inside, inside + block)) for out, inside in starts)


@dataclass(frozen=True)
class PackedAxes:
    """Blocks stacked along several axes at once, each of them from its own start: a grid of blocks.

    From its second layer on, a bidirectional LSTM stacks four gates along the rows of `weight_ih` and reads two
    directions side by side along its columns: `PackedAxes((Packed(4), Packed(2, axis=1)))`.
    """

    axes: tuple[Packed, ...]

    def __post_init__(self) -> None:
        if type(self.axes) is not tuple or {type(packed) for packed in self.axes} != {Packed}:
            raise LayoutError(f"PackedAxes needs a tuple of Packed(...), one for each packed axis, got {self.axes!r}.")

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """One region for each combination of blocks, or a single one where every block is whole."""
        along: dict[int, tuple[tuple[slice, slice], ...]] = {}
        for packed in self.axes:
            axis, blocks = packed.blocks(shared, subnet)
            if axis in along:
                raise LayoutError(f"PackedAxes packs axis {axis} twice: {self.axes}.")
            along[axis] = blocks
        lists = [along.get(axis, ((slice(0, n), slice(0, n)),)) for axis, n in enumerate(subnet)]
        regions = []
        for blocks in product(*lists):
            outside, inside = zip(*blocks, strict=True)
            regions.append(Region(outside, inside))
        return tuple(regions)


@dataclass(frozen=True)
class Centred:
    """The middle of each axis from `first_axis` on, the leading elements before it.

    For convolution kernels: the 3-tap kernel is the centre of the 7-tap one (Once-for-All, Cai et al. 2020,
    section 3.2, without its learned transformation).  Sizes must differ by an even number.
    """

    first_axis: int = 2

    def __post_init__(self) -> None:
        if self.first_axis < 0:
            raise LayoutError(f"Centred counts axes from the front, got first_axis={self.first_axis}.")

    def regions(self, shared: Shape, subnet: Shape) -> tuple[Region, ...]:
        """One region around the centre of every axis from `first_axis` on."""
        where = []
        for axis, (large, small) in enumerate(zip(shared, subnet, strict=True)):
            margin = large - small
            if axis < self.first_axis:
                margin = 0
            elif margin % 2:
                raise LayoutError(
                    f"Centred cannot place {small} elements in the middle of {large} (axis {axis}); "
                    "the sizes of a centred axis must be all odd or all even."
                )
            where.append(slice(margin // 2, margin // 2 + small))
        return (Region(tuple(where), tuple(slice(0, n) for n in subnet)),)


LEADING = Leading()


def is_view(regions: tuple[Region, ...]) -> bool:
    """Whether the subnet's tensor can be a view of the shared one (one region), or must be gathered."""
    return len(regions) == 1


def view(shared: Tensor, regions: tuple[Region, ...]) -> Tensor:
    """The single region as a view of `shared`, detached from any graph."""
    return shared.detach()[regions[0].shared]


def gather(shared: Tensor, regions: tuple[Region, ...], out: Tensor) -> Tensor:
    """Copy the regions of `shared` into `out`, the subnet's own tensor.  Returns `out`."""
    source, target = shared.detach(), out.detach()
    for region in regions:
        target[region.subnet] = source[region.shared]
    return out


def scatter_add(shared: Tensor, regions: tuple[Region, ...], values: Tensor) -> None:
    """Add the subnet's `values` to their places in `shared`, a gradient buffer."""
    if is_view(regions):
        shared[regions[0].shared].add_(values)
    else:
        for region in regions:
            shared[region.shared].add_(values[region.subnet])  # `+=` would copy the sum onto itself


def scatter_copy(shared: Tensor, regions: tuple[Region, ...], values: Tensor) -> None:
    """Write the subnet's `values` to their places in `shared`; the rest stays as it is."""
    if is_view(regions):
        shared[regions[0].shared] = values
    else:
        for region in regions:
            shared[region.shared] = values[region.subnet]


def same(shared: Tensor, regions: tuple[Region, ...], values: Tensor) -> bool:
    """Whether the subnet's `values` are still what the shared tensor holds in their places."""
    return all(torch.equal(shared[region.shared], values[region.subnet]) for region in regions)


def around(boxes: Sequence[Slices]) -> Slices:
    """The smallest box around all those that are not empty."""
    if len(boxes) == 1:
        return boxes[0]
    full = [box for box in boxes if all(s.stop > s.start for s in box)]
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*full, strict=True))


def holds(outer: Slices, inner: Slices) -> bool:
    """Whether one box holds another."""
    if outer == inner:
        return True
    return all(out.start <= s.start and s.stop <= out.stop for out, s in zip(outer, inner, strict=True))


class Layouts:
    """The declared layouts of a model, by pattern of parameter name; the first pattern that matches wins.

    With `unused`, a pattern may match nothing: those of a family are about its whole space, a study is about a part.
    """

    def __init__(self, declared: Mapping[str, Layout] | None = None, *, unused: bool = False) -> None:
        self._declared = dict(declared or {})
        self._unused = unused
        for pattern, layout in self._declared.items():
            if isinstance(layout, type) or not callable(getattr(layout, "regions", None)):
                raise LayoutError(
                    f"the layout of {pattern!r} must be an object such as Packed(3) or Centred(), got {layout!r}."
                )

    def find(self, name: str) -> Layout | None:
        """The declared layout of a parameter, or None where the default (leading) applies."""
        for pattern, layout in self._declared.items():
            if fnmatchcase(name, pattern):
                return layout
        return None

    def check_patterns(self, names: Collection[str]) -> None:
        """Raise `LayoutError` for a pattern that matches none of `names`: almost always a spelling mistake."""
        for problem in () if self._unused else self.unmatched(names):
            raise LayoutError(problem)

    def unmatched(self, names: Collection[str]) -> list[str]:
        """What to say of each pattern that matches none of `names`."""
        found = []
        for pattern in self._declared:
            if not any(fnmatchcase(name, pattern) for name in names):
                near = get_close_matches(pattern, names, n=3, cutoff=0.3) or list(names)[:3]
                found.append(
                    f"the layout pattern {pattern!r} matches no parameter; the nearest names are {', '.join(near)}."
                )
        return found

    def regions(self, name: str, shared: Shape, subnet: Shape, own: Layout | None = None) -> tuple[Region, ...]:
        """The regions of the parameter called `name`; `own` is what its module declares (`own_layout`).

        Raises `LayoutError` or `ShapeTooLarge`, naming it.
        """
        if len(shared) != len(subnet):
            raise LayoutError(
                f"{name} has {len(shared)} axes in one architecture and {len(subnet)} in another; "
                "give the two different names."
            )
        if any(small > large for small, large in zip(subnet, shared, strict=True)):
            raise ShapeTooLarge(
                f"{name} needs shape {subnet}, and the shared tensor has {shared}: no architecture that was probed "
                "is this large. Its shape must depend on single choices of the space, and build() on nothing but "
                "its argument."
            )
        try:
            regions = (self.find(name) or own or LEADING).regions(shared, subnet)
        except LayoutError as error:
            raise LayoutError(f"{name}: {error}") from error
        covered = sum(prod(s.stop - s.start for s in region.subnet) for region in regions)
        if covered != prod(subnet):
            raise LayoutError(
                f"{name}: the regions of its layout hold {covered} elements, and its shape {subnet} has "
                f"{prod(subnet)}; a layout must fill the subnet's tensor exactly."
            )
        return regions


def own_layout(module: nn.Module, parameter: str) -> Layout | None:
    """What the class of `module` declares of one of its parameters: `parameter_layouts = {"weight": Centred()}`."""
    declared: Mapping[str, Layout] = getattr(type(module), "parameter_layouts", {})
    return declared.get(parameter)


def packed_axes(module: nn.Module) -> dict[str, dict[int, int]]:
    """Parameters of known torch modules that stack blocks: name to the number of blocks along each such axis.

    `nn.MultiheadAttention` stacks query, key and value; `nn.LSTM` four gates; `nn.GRU` three.  From its second
    layer on, a bidirectional recurrent module reads the outputs of two directions side by side.
    """
    found: dict[str, dict[int, int]] = {}
    for path, child in module.named_modules():
        for name, _ in child.named_parameters(recurse=False):
            axes = _packed_axes_of(child, name)
            if axes:
                found[f"{path}.{name}" if path else name] = axes
    return found


def _packed_axes_of(module: nn.Module, name: str) -> dict[int, int]:
    if isinstance(module, nn.MultiheadAttention):
        return {0: 3} if name.startswith("in_proj_") else {}
    if not isinstance(module, nn.RNNBase | nn.RNNCellBase) or name.startswith("weight_hr"):
        return {}
    axes: dict[int, int] = {}
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        axes[0] = 4
    elif isinstance(module, nn.GRU | nn.GRUCell):
        axes[0] = 3
    first_layer = name.startswith(("weight_ih_l0", "weight_hh", "bias"))
    if isinstance(module, nn.RNNBase) and module.bidirectional and not first_layer:
        axes[1] = 2
    return axes
