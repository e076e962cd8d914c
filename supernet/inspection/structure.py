"""Names and shapes: what the shared weights of a space would hold, and whether sampled architectures stay within it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from supernet.discovery import largest_shapes, probe, undeclared_packed
from supernet.errors import LayoutError
from supernet.inspection.finding import Finding, problem, warning
from supernet.inspection.nesting import judge
from supernet.slicing import Centred, Leading, Packed

if TYPE_CHECKING:
    from torch import Tensor, nn

    from search_spaces import Architecture, SearchSpace
    from supernet.inspection.nesting import AxisReport
    from supernet.inspection.trace import Trace
    from supernet.skeleton import Build, Leaf, Skeleton
    from supernet.slicing import Layout, Layouts, Shape


@dataclass(frozen=True, kw_only=True)
class ParameterReport:
    """One shared tensor: its largest shape, the axes of which a smaller architecture takes a part, and its layout."""

    name: str
    shape: Shape
    elastic: tuple[int, ...]
    layout: Layout


@dataclass(frozen=True)
class Announced:
    """What the shared weights would hold, found as they find it."""

    skeletons: Mapping[Architecture, Skeleton]
    sizes: Mapping[str, Shape]
    own: Mapping[str, Layout]  # what layers declare beside themselves

    def parameters(self, layouts: Layouts) -> list[ParameterReport]:
        """Every shared tensor."""
        smallest: dict[str, list[int]] = {name: list(shape) for name, shape in self.sizes.items()}
        for leaf in self._leaves():
            for axis, size in enumerate(leaf.shape[: len(smallest[leaf.name])]):
                smallest[leaf.name][axis] = min(smallest[leaf.name][axis], size)
        return [
            ParameterReport(
                name=name,
                shape=shape,
                elastic=tuple(axis for axis, size in enumerate(shape) if smallest[name][axis] < size),
                layout=layouts.find(name) or self.own.get(name) or Leading(),
            )
            for name, shape in self.sizes.items()
        ]

    def findings(self, layouts: Layouts, *, narrowed: bool) -> list[Finding]:
        """Layouts that do not fit, that nobody uses, or that are missing for torch's own stacking modules."""
        say = warning if narrowed else problem
        found = [say("unused-pattern", "", words) for words in layouts.unmatched(self.sizes)]
        refused: dict[str, Finding] = {}
        for leaf in self._leaves():
            if leaf.name in refused:
                continue
            axes = len(self.sizes[leaf.name])
            if len(leaf.shape) != axes:
                refused[leaf.name] = problem(
                    "axes-do-not-nest",
                    leaf.name,
                    f"{leaf.name} has {axes} axes in one architecture and {len(leaf.shape)} in another; give the two "
                    "different names.",
                )
                continue
            try:
                layouts.regions(leaf.name, self.sizes[leaf.name], leaf.shape, leaf.layout)
            except LayoutError as error:
                refused[leaf.name] = problem("layout-error", leaf.name, str(error))
        packed = undeclared_packed(list(self.skeletons.values()), self.sizes, layouts)
        return [
            *found,
            *refused.values(),
            *(
                problem(
                    "undeclared-packed",
                    name,
                    f"{name} stacks several blocks, so that its leading elements mean something else in a smaller "
                    f"architecture; declare layouts={{{name!r}: {suggestion}}}.",
                )
                for name, suggestion in packed.items()
                if name not in refused
            ),
        ]

    def beyond(self, architecture: Architecture, leaves: Collection[Leaf]) -> list[Finding]:
        """What an architecture asks for and the shared weights do not hold."""
        where = architecture.to_json()
        found = []
        for leaf in leaves:
            largest = self.sizes.get(leaf.name)
            if largest is None:
                near = ", ".join(get_close_matches(leaf.name, self.sizes, n=3, cutoff=0.3)) or "none"
                found.append(
                    problem(
                        "unknown-name",
                        leaf.name,
                        f"{where} has a parameter {leaf.name} (nearest: {near}), which none of the "
                        f"{len(self.skeletons)} probed architectures has; its name must depend on single choices.",
                    )
                )
            elif len(largest) == len(leaf.shape) and any(a > b for a, b in zip(leaf.shape, largest, strict=True)):
                found.append(
                    problem(
                        "larger-than-announced",
                        leaf.name,
                        f"{where} has {leaf.name} of the shape {leaf.shape}, and the shared tensor would be {largest}, "
                        f"the largest of {len(self.skeletons)} probed architectures; its shape must depend on single "
                        "choices, and on nothing but the architecture.",
                    )
                )
        return found

    def _leaves(self) -> list[Leaf]:
        return [leaf for skeleton in self.skeletons.values() for leaf in skeleton.leaves]


def announced(build: Build, space: SearchSpace, seed: int) -> Announced:
    """Look at as many architectures as shared weights do.  Raises what `build` raises, and `LayoutError`."""
    skeletons = probe(build, space, seed)
    own = {leaf.name: leaf.layout for one in skeletons.values() for leaf in one.leaves if leaf.layout is not None}
    return Announced(skeletons, largest_shapes(list(skeletons.values())), own)


def meta_tensors(module: nn.Module, architecture: Architecture) -> list[Finding]:
    """Parameters and buffers without values, in a module that was built for real."""
    named: list[tuple[str, str, Tensor]] = [("parameter", *one) for one in module.named_parameters()]
    named += [("buffer", *one) for one in module.named_buffers()]
    return [
        problem(
            "meta-tensor",
            name,
            f"the {kind} {name} is left on the device meta in {architecture.to_json()}: it has no values, and would "
            "never get any. Make it with values in build.",
        )
        for kind, name, tensor in named
        if tensor.is_meta
    ]


def nesting(traces: Sequence[Trace], announced: Announced, layouts: Layouts) -> tuple[list[AxisReport], list[Finding]]:
    """Every elastic axis, and what is wrong with any."""
    reports = judge(traces, announced.sizes, layouts, announced.own)
    return reports, [finding for report in reports for finding in _about(report)]


def _about(report: AxisReport) -> list[Finding]:
    name, sizes = report.parameter, ", ".join(map(str, report.sizes))
    axis = f"axis {report.axis} of {name} ({sizes} elements)"
    if report.verdict == "wrong" and report.suggestion is None:
        return [
            problem(
                "axes-do-not-nest",
                name,
                f"{axis} is split or joined in such a way that no layout of Supernaut gives its elements the same "
                "meaning in all architectures; give what differs names of its own (what reads several tensors put "
                "together: a layer for each, whose outputs are added), or let only one factor vary.",
            )
        ]
    if report.verdict == "wrong":
        kind = "wrong-layout" if report.declared else "undeclared-packed"
        what = "the declared layout is not how it is read" if report.declared else "its leading elements change meaning"
        return [
            problem(
                kind,
                name,
                f"{axis}: {what}; with {_written(report.suggestion)} every element keeps its role: "
                f"layouts={{{name!r}: {_written(report.suggestion)}}}.",
            )
        ]
    if report.verdict == "kernel":
        small, large = report.sizes[0], report.sizes[-1]
        first = (large - small) // 2
        even = "" if (large - small) % 2 == 0 else " (all odd or all even, they are not)"
        return [
            warning(
                "undeclared-centred",
                name,
                f"{axis} is a kernel, and a smaller one is not the middle of the larger; with "
                f"layouts={{{name!r}: Centred()}} {small} elements would be numbers {first} to {first + small - 1} of "
                f"{large}{even}.",
            )
        ]
    if report.verdict == "unseen":
        return [
            warning(
                "not-followed",
                name,
                f"{axis}: whether its leading elements keep their meaning is not known: {report.reason}. Declare the "
                "layout yourself if they do not.",
            )
        ]
    return []


def _written(layout: Layout | None) -> str:
    if isinstance(layout, Packed):
        return f"Packed({layout.parts})" if layout.axis == 0 else f"Packed({layout.parts}, axis={layout.axis})"
    return "Centred()" if isinstance(layout, Centred) else "Leading()"
