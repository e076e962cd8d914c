"""Whether smaller parameters lie in larger ones the way that the modules read them, and which layout would be right.

The rule: an element of a smaller parameter must be the element of the larger one that has the same role, the same place
in the operation that reads it (`axes`).  So, where an axis of n = k * b elements is split into (k, b), leading slices
are right if b is the same in all architectures, `Packed(k)` if k is the same and b varies, and no layout of ours if
both vary; an axis that is put together from k parts (a flattened image, concatenated features), likewise.

What is not decided: axes that are read by operations that are not understood, those that no two comparable
architectures split in the same way, and whatever no architecture that was looked at computes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from supernet.errors import LayoutError
from supernet.inspection.axes import NOTHING
from supernet.slicing import LEADING, Centred, Packed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from supernet.inspection.axes import Axis
    from supernet.inspection.trace import Trace
    from supernet.slicing import Layout, Layouts, Shape

Verdict = Literal["right", "whole", "wrong", "kernel", "unseen"]


@dataclass(frozen=True, kw_only=True)
class AxisReport:
    """One elastic axis of one parameter: its lengths, and whether the layout in force is right.

    `right`: the axis is split or joined, and every element keeps its role.  `whole`: it is never split, so that leading
    slices are right.  `wrong`: roles change; `suggestion` is a layout that keeps them, if one of ours does.  `kernel`:
    the length of a kernel, whose smaller ones are not the middle of the larger.  `unseen`: `reason` says why.
    """

    parameter: str
    axis: int
    sizes: tuple[int, ...]
    declared: bool
    verdict: Verdict
    suggestion: Layout | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Seen:
    """An axis of a parameter in one architecture, its readings named alike in all layers."""

    shape: Shape
    axis: Axis
    roles: Mapping[tuple[Hashable, ...], NDArray[np.int64]]


def judge(
    traces: Sequence[Trace], sizes: Mapping[str, Shape], layouts: Layouts, own: Mapping[str, Layout]
) -> list[AxisReport]:
    """Every elastic axis of every parameter; `sizes` are those of the shared tensors, `own` what classes declare.

    Parameters that differ in nothing but the numbers in their names are layers of a kind: where one of them alone does
    not say enough, what was seen of the others is held beside it.  A parameter of which no trace has a smaller part is
    left out.
    """
    alone: dict[tuple[str, Layout | None, int], list[AxisReport]] = {}
    siblings: dict[tuple[str, Layout | None], list[str]] = {}
    for name, shape in sizes.items():
        layout = layouts.find(name) or own.get(name)
        siblings.setdefault((pattern_of(name), layout), []).append(name)
        for axis in range(len(shape)):
            seen = _collected(traces, [name], axis, len(shape))
            if len({one.axis.size for one in seen}) > 1:
                report = _judge(name, axis, shape, seen, layout)
                alone.setdefault((pattern_of(name), layout, axis), []).append(report)
    return [
        report
        for (pattern, layout, axis), reports in alone.items()
        for report in _with_siblings(reports, siblings[pattern, layout], traces, sizes, axis, layout)
    ]


def _with_siblings(
    reports: list[AxisReport],
    names: Sequence[str],
    traces: Sequence[Trace],
    sizes: Mapping[str, Shape],
    axis: int,
    layout: Layout | None,
) -> list[AxisReport]:
    open_questions = [report for report in reports if report.verdict in ("unseen", "wrong")]
    if len(names) < 2 or not open_questions or len({len(sizes[name]) for name in names}) > 1:
        return reports
    shared = tuple(max(lengths) for lengths in zip(*(sizes[name] for name in names), strict=True))
    seen = _collected(traces, names, axis, len(shared))
    together = _judge(names[0], axis, shared, seen, layout)
    if together.verdict not in ("right", "wrong") or (together.verdict == "wrong" and together.suggestion is None):
        return reports
    return [
        replace(together, parameter=report.parameter, sizes=report.sizes) if report in open_questions else report
        for report in reports
    ]


def _collected(traces: Sequence[Trace], names: Sequence[str], axis: int, axes: int) -> list[_Seen]:
    return [
        _Seen(tuple(one.size for one in trace.axes[name]), trace.axes[name][axis], _named(trace, name, axis))
        for trace in traces
        for name in names
        if name in trace.axes and len(trace.axes[name]) == axes
    ]


def pattern_of(name: str) -> str:
    """A parameter's or choice's name with * for the numbers of layers."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def _named(trace: Trace, name: str, axis: int) -> dict[tuple[Hashable, ...], NDArray[np.int64]]:
    """The roles of an axis; in the paths of modules that hold the parameter, * stands for its own layer."""
    own = name.split(".")
    found: dict[tuple[Hashable, ...], NDArray[np.int64]] = {}
    for reading, role in trace.axes[name][axis].roles.items():
        parts = str(reading[0]).split(".")
        for position, (part, mine) in enumerate(zip(parts, own, strict=False)):
            if part != mine:
                break
            if part.isdigit():
                parts[position] = "*"
        found[".".join(parts), *reading[1:], role.rows.shape[1], role.meaningless] = role.told
    return found


def _judge(name: str, axis: int, shared: Shape, seen: Sequence[_Seen], layout: Layout | None) -> AxisReport:
    lengths = tuple(sorted({one.axis.size for one in seen}))

    def report(verdict: Verdict, suggestion: Layout | None = None, reason: str = "") -> AxisReport:
        return AxisReport(
            parameter=name,
            axis=axis,
            sizes=lengths,
            declared=layout is not None,
            verdict=verdict,
            suggestion=suggestion,
            reason=reason,
        )

    places = [_places(layout, shared, one.shape, axis) for one in seen]
    if any(one.axis.kernel for one in seen):
        middle = [_places(Centred(axis), shared, one.shape, axis) for one in seen]
        right = all(np.array_equal(a, b) for a, b in zip(places, middle, strict=True))
        return report("right" if right else "kernel", None if right else Centred())
    unfollowed = sorted({operation for one in seen for operation in one.axis.unfollowed})
    if unfollowed:
        return report("unseen", reason=f"it is read by {', '.join(unfollowed)}")
    if not any(one.roles for one in seen):
        # A declared layout other than leading slices contradicts nothing that was seen: it may be about meaning.
        return report("whole")
    groups = list(_comparable(seen))
    if not groups:
        return report("unseen", reason="no two of the architectures that were looked at split it alike")
    if _fits(groups, places):
        return report("right")
    for candidate in (None, *_candidates(axis, lengths, shared[axis])):
        if _fits(groups, [_places(candidate, shared, one.shape, axis) for one in seen]):
            return report("wrong", candidate or LEADING)
    return report("wrong")


def _candidates(axis: int, lengths: Sequence[int], largest: int) -> Iterator[Layout]:
    common = int(np.gcd.reduce([*lengths, largest]))
    return (Packed(parts, axis) for parts in range(2, common + 1) if common % parts == 0)


def _places(layout: Layout | None, shared: Shape, shape: Shape, axis: int) -> NDArray[np.int64]:
    """Where in the shared axis each element of a parameter of this shape lies; leading places where it cannot."""
    found: NDArray[np.int64] = np.arange(shape[axis])
    if layout is None:
        return found
    try:
        regions = layout.regions(shared, shape)
    except LayoutError:  # reported by whoever makes shared weights
        return found
    for region in regions:
        inside, outside = region.subnet[axis], region.shared[axis]
        found[inside] = np.arange(outside.start, outside.stop)
    return found


def _comparable(seen: Sequence[_Seen]) -> Iterator[list[tuple[int, NDArray[np.int64]]]]:
    """For each reading, those that have it (by position), with their rows; of at least two lengths.

    In one submodule the readings of two architectures can be told apart only if there are the same ones.
    """
    by_module: dict[tuple[tuple[Hashable, ...], ...], list[int]] = {}
    for position, one in enumerate(seen):
        modules: dict[Hashable, list[tuple[Hashable, ...]]] = {}
        for reading in one.roles:
            modules.setdefault(reading[0], []).append(reading)
        for found in modules.values():
            by_module.setdefault(tuple(sorted(found, key=repr)), []).append(position)
    for readings, positions in by_module.items():
        if len({seen[position].axis.size for position in positions}) > 1:
            for reading in readings:
                yield _alike([(position, seen[position].roles[reading]) for position in positions])


def _alike(rows: list[tuple[int, NDArray[np.int64]]]) -> list[tuple[int, NDArray[np.int64]]]:
    """Without the columns in which two architectures of one length disagree, unless those are all that there is.

    Where tensors of one length are read differently, another choice decides how, and no slice can follow it: which K
    head a query head is paired with, say.
    """
    first: dict[int, NDArray[np.int64]] = {}
    differing: set[int] = set()
    for _, one in rows:
        other = first.setdefault(len(one), one)
        differing |= set(np.flatnonzero((one != other).any(axis=0)).tolist())
    telling: set[int] = set()
    for _, one in rows:
        present = one[(one != NOTHING).any(axis=1)]
        telling |= set(np.flatnonzero((present != present[:1]).any(axis=0)).tolist())
    if not differing or telling <= differing:
        return rows
    kept = [column for column in range(rows[0][1].shape[1]) if column not in differing]
    return [(position, one[:, kept]) for position, one in rows]


def _fits(groups: Sequence[list[tuple[int, NDArray[np.int64]]]], places: Sequence[NDArray[np.int64]]) -> bool:
    """Whether each element of the shared axis has one role in all architectures that hold it."""
    for rows in groups:
        length = 1 + max(int(places[position].max()) for position, _ in rows)
        roles = np.zeros((length, rows[0][1].shape[1]), dtype=np.int64)
        known = np.zeros(length, dtype=bool)
        for position, one in rows:
            here = places[position]
            before = known[here]
            if (roles[here][before] != one[before]).any():
                return False
            roles[here], known[here] = one, True
    return True
