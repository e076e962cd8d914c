"""Which tensors a space needs: their names, their largest shapes and initial values.

Found by building architectures and looking.  This module owns which ones are looked at; what a tensor's part in a
subnet is, `slicing` decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from search_spaces import Architecture, InfeasibleSpace, SearchSpace
from supernet import slicing
from supernet.errors import LayoutError
from supernet.skeleton import Build, Skeleton, build_real, build_skeleton, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from search_spaces.values import Value
    from supernet.slicing import Layouts, Shape

RANDOM_PROBES = 8  # architectures beyond one for each value of each choice
MOST_COMBINATIONS = 512  # of values that replace the same tensor; a build of so many takes seconds


def initial_values(build: Build, space: SearchSpace, layouts: Layouts, seed: int) -> dict[str, Tensor]:
    """By name, a tensor as large as any probed architecture needs, with the values that `build` gives it.

    Values come from the first architecture that holds the tensor whole.  Where none does, those of the one that
    holds most of it are used, and the rest is drawn from them.  Raises `LayoutError`.
    """
    probed = probe(build, space, seed)
    architectures, skeletons = list(probed), list(probed.values())
    sizes = largest_shapes(skeletons)
    _check_layouts(skeletons, sizes, layouts)
    trainable = {leaf.name for skeleton in skeletons for leaf in skeleton.leaves if leaf.requires_grad}
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    for index, names in _homes(skeletons, sizes).items():
        module = build_real(build, architectures[index], seed + index)
        for leaf, parameter in zip(leaves(module), module.parameters(), strict=True):
            if leaf.name in names:
                regions = layouts.regions(leaf.name, sizes[leaf.name], leaf.shape, leaf.layout)
                grown = _grow(parameter.detach(), sizes[leaf.name], regions, generator)
                values[leaf.name] = grown.requires_grad_(leaf.name in trainable)
    return {name: values[name] for name in sizes}


def probe(build: Build, space: SearchSpace, seed: int) -> dict[Architecture, Skeleton]:
    """The architectures that are looked at to find out which tensors there are."""
    skeleton_of = cache(partial(build_skeleton, build, seed=seed))
    architectures = dict.fromkeys((*_probes(space, seed), *_combinations(skeleton_of, space)))
    return {architecture: skeleton_of(architecture) for architecture in architectures}


def _probes(space: SearchSpace, seed: int) -> Iterator[Architecture]:
    """The largest architecture, the largest with each value of each choice, and some random ones."""
    yield from largest_with_each_value(space)
    rng = random.Random(seed)
    for _ in range(RANDOM_PROBES):
        yield space.sample(rng)


def largest_with_each_value(space: SearchSpace) -> Iterator[Architecture]:
    """The largest architecture, and the largest with each value of each choice; values that cannot be are left out."""
    yield space.largest()
    for name, choice in space.choices.items():
        for value in choice.values:
            largest = _largest(space, _activating(space, name, value))
            if largest is not None:
                yield largest


@dataclass(frozen=True)
class _Replacement:
    """Answers, and the tensors of the largest architecture that are not there any more under each of them alone."""

    choices: tuple[str, ...]
    wanted: Mapping[str, tuple[Value, ...]]
    gone: frozenset[str]


def _combinations(skeleton_of: Callable[[Architecture], Skeleton], space: SearchSpace) -> Iterator[Architecture]:
    """The largest architecture with several values at once that each alone put another tensor in place of the same one.

    What stands there may be named after all of them: the RMS normalisation of a linear mixer, say, where the largest
    architecture has the layer normalisation of softmax attention.
    """

    def names(architecture: Architecture) -> frozenset[str]:
        return frozenset(leaf.name for leaf in skeleton_of(architecture).leaves)

    everything = names(space.largest())
    single: list[_Replacement] = []
    for name, choice in space.choices.items():
        for value in choice.values:
            wanted = _activating(space, name, value)
            largest = _largest(space, wanted)
            gone = everything - names(largest) if largest is not None else frozenset()
            if gone:
                single.append(_Replacement((name,), wanted, gone))
    position = {name: index for index, name in enumerate(space.choices)}
    pending, found = list(single), 0
    while pending:
        one = pending.pop()
        for other in single:
            gone = one.gone & other.gone
            if position[other.choices[0]] <= position[one.choices[-1]] or not gone:
                continue
            wanted = {
                name: tuple(v for v in one.wanted.get(name, values) if v in other.wanted.get(name, values))
                for name, values in {**one.wanted, **other.wanted}.items()
            }
            largest = _largest(space, wanted)
            if largest is not None:
                found += 1
                if found > MOST_COMBINATIONS:
                    return
                yield largest
                pending.append(_Replacement((*one.choices, *other.choices), wanted, gone))


def _largest(space: SearchSpace, wanted: Mapping[str, tuple[Value, ...]]) -> Architecture | None:
    """The largest architecture with one of the wanted values of each choice; None if the constraints leave none."""
    if not all(wanted.values()):
        return None
    try:
        return space.narrow(wanted).largest()
    except InfeasibleSpace:
        return None


def _activating(space: SearchSpace, name: str, value: Value) -> dict[str, tuple[Value, ...]]:
    """The answers that make choice `name` active, those of the choices it depends on included, and `value` its own.

    Without them the largest architecture might leave the choice inactive and never show what `value` needs.
    """
    wanted: dict[str, tuple[Value, ...]] = {name: (value,)}
    pending = [name]
    while pending:
        for condition in space.conditions.get(pending.pop(), ()):
            allowed = wanted.get(condition.choice, space.choices[condition.choice].values)
            wanted[condition.choice] = tuple(answer for answer in allowed if answer in condition.values)
            pending.append(condition.choice)
    return wanted


def largest_shapes(skeletons: Collection[Skeleton]) -> dict[str, Shape]:
    """By name, the shape that holds all of these.  Raises `LayoutError` where one name has two types."""
    sizes: dict[str, Shape] = {}
    kinds: dict[str, torch.dtype] = {}
    for leaf in (leaf for skeleton in skeletons for leaf in skeleton.leaves):
        known = sizes.setdefault(leaf.name, leaf.shape)
        if kinds.setdefault(leaf.name, leaf.dtype) != leaf.dtype:
            raise LayoutError(
                f"{leaf.name} is {kinds[leaf.name]} in one architecture and {leaf.dtype} in another; "
                "give the two different names."
            )
        if len(known) == len(leaf.shape):  # a differing number of axes is reported with the layouts
            sizes[leaf.name] = tuple(max(pair) for pair in zip(known, leaf.shape, strict=True))
    return sizes


def _check_layouts(skeletons: Collection[Skeleton], sizes: Mapping[str, Shape], layouts: Layouts) -> None:
    layouts.check_patterns(sizes)
    for leaf in (leaf for skeleton in skeletons for leaf in skeleton.leaves):
        layouts.regions(leaf.name, sizes[leaf.name], leaf.shape, leaf.layout)
    undeclared = sorted(f"{name!r}: {words}" for name, words in undeclared_packed(skeletons, sizes, layouts).items())
    if undeclared:
        raise LayoutError(
            "these parameters stack several blocks, so that their leading rows mean something else in a smaller "
            f"architecture; declare them: layouts={{{', '.join(undeclared)}}}."
        )


def undeclared_packed(skeletons: Collection[Skeleton], sizes: Mapping[str, Shape], layouts: Layouts) -> dict[str, str]:
    """Parameters of torch's stacking modules whose stacked axes vary and have no layout, with the one to declare."""
    found: dict[str, str] = {}
    for skeleton in skeletons:
        packed = slicing.packed_axes(skeleton.module)
        for leaf in skeleton.leaves:
            axes = packed.get(leaf.name, {})
            elastic = any(leaf.shape[axis] != sizes[leaf.name][axis] for axis in axes)
            if elastic and layouts.find(leaf.name) is None and leaf.layout is None:
                found[leaf.name] = _suggestion(axes)
    return found


def _suggestion(axes: Mapping[int, int]) -> str:
    packed = [f"Packed({parts}, axis={axis})" if axis else f"Packed({parts})" for axis, parts in axes.items()]
    return packed[0] if len(packed) == 1 else f"PackedAxes(({', '.join(packed)}))"


def _homes(skeletons: list[Skeleton], sizes: Mapping[str, Shape]) -> dict[int, set[str]]:
    """Which skeleton each tensor takes its values from: the first that holds most of it."""
    best: dict[str, tuple[int, int]] = {}
    for index, skeleton in enumerate(skeletons):
        for leaf in skeleton.leaves:
            elements = torch.Size(leaf.shape).numel()
            if leaf.name not in best or elements > best[leaf.name][0]:
                best[leaf.name] = (elements, index)
    homes: dict[int, set[str]] = {}
    for name in sizes:
        homes.setdefault(best[name][1], set()).add(name)
    return homes


def _grow(parameter: Tensor, shape: Shape, regions: tuple[slicing.Region, ...], generator: torch.Generator) -> Tensor:
    """A copy of `parameter`, or, where it must be larger, drawn from its own values with itself in its place."""
    if tuple(parameter.shape) == shape:
        return parameter.clone()
    chosen = torch.randint(parameter.numel(), shape, generator=generator).to(parameter.device)
    grown = parameter.flatten()[chosen]
    slicing.scatter_copy(grown, regions, parameter)
    return grown
