"""All inspections of a factory in their order, from what makes the rest impossible to what is only untidy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernet.errors import LayoutError
from supernet.inspection.choices import ignored_choices
from supernet.inspection.factory import inspect_factory
from supernet.inspection.finding import Finding, problem
from supernet.inspection.nesting import pattern_of
from supernet.inspection.network import no_network
from supernet.inspection.running import Learning, run_once
from supernet.inspection.standard_values import StandardValues
from supernet.inspection.structure import announced, meta_tensors, nesting
from supernet.inspection.trace import trace
from supernet.skeleton import build_real, leaves

if TYPE_CHECKING:
    from torch import nn

    from search_spaces import Architecture, SearchSpace
    from supernet.inspection.nesting import AxisReport
    from supernet.inspection.structure import Announced, ParameterReport
    from supernet.inspection.trace import Trace
    from supernet.skeleton import Build
    from supernet.slicing import Layouts
    from supernet.tasks.task import Task

FATAL = frozenset({"build-failed", "network", "global-setting", "forward-failed", "wrong-output", "meta-tensor"})
MOST_TRACED = 48  # forward passes that are followed, a fraction of a second each


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found, what the shared weights would hold, and how each elastic axis is read."""

    findings: tuple[Finding, ...]
    parameters: tuple[ParameterReport, ...] = ()
    axes: tuple[AxisReport, ...] = ()
    built: int = 0  # different architectures
    traced: int = 0


def inspect_family(
    build: Build,
    space: SearchSpace,
    task: Task,
    layouts: Layouts,
    architectures: Sequence[Architecture],
    *,
    seed: int,
    narrowed: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Inspect a factory by building these architectures, and those that shared weights would probe.

    `narrowed`: the space is a part, so that patterns of layouts may be about another.  `note` is told what is being
    done.  Stops after what makes the rest meaningless.
    """
    note("building each sampled architecture")
    samples = task.example(2)
    found = inspect_factory(build, architectures, StandardValues({}, layouts), samples, seed)
    if any(finding.name in FATAL for finding in found):
        return Inspection(findings=tuple(found), built=len(architectures))
    note("finding all names and shapes")
    try:
        with no_network():
            shapes = announced(build, space, seed)
    except LayoutError as error:
        return Inspection(findings=(*found, problem("layout-error", "", str(error))), built=len(architectures))
    except Exception as error:  # noqa: BLE001  (somebody's code: whatever it raises is the finding)
        words = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return Inspection(findings=(*found, problem("build-failed", "", words)), built=len(architectures))
    found += shapes.findings(layouts, narrowed=narrowed)
    note("running each sampled architecture forwards and backwards")
    values = StandardValues(shapes.sizes, layouts)
    looked_at = list(dict.fromkeys((*architectures, *_covering(shapes, MOST_TRACED - len(architectures)))))
    ran, traces = _run(build, looked_at, task, shapes, values, seed)
    found += ran
    if any(finding.name in FATAL for finding in found):
        return Inspection(findings=tuple(found), parameters=tuple(shapes.parameters(layouts)), built=len(looked_at))
    axes, wrong = nesting(traces, shapes, layouts)
    said = {finding.where for finding in found if finding.severity == "problem"}
    found += [finding for finding in wrong if finding.where not in said]
    note("comparing the values of each choice")
    found += ignored_choices(build, space, [space.largest(), *architectures], values, samples, seed)
    return Inspection(
        findings=tuple(found),
        parameters=tuple(shapes.parameters(layouts)),
        axes=tuple(axes),
        built=len({*looked_at, *shapes.skeletons}),
        traced=len(traces),
    )


def _run(
    build: Build,
    architectures: Sequence[Architecture],
    task: Task,
    shapes: Announced,
    values: StandardValues,
    seed: int,
) -> tuple[list[Finding], list[Trace]]:
    found: dict[tuple[str, str], Finding] = {}
    learning = Learning()
    traces: list[Trace] = []
    inputs = task.example(1)
    for architecture in architectures:
        module: nn.Module = build_real(build, architecture, seed)
        wrong = [*meta_tensors(module, architecture), *shapes.beyond(architecture, leaves(module))]
        if not any(finding.name in FATAL for finding in wrong):
            failed = run_once(values.put_into(module), architecture, task, learning)
            if failed is not None:
                wrong.append(failed)
            else:
                traces.append(trace(module, inputs))
        for finding in wrong:
            found.setdefault((finding.name, finding.where if finding.name not in FATAL else ""), finding)
    return [*found.values(), *learning.findings()], traces


def _covering(shapes: Announced, most: int) -> list[Architecture]:
    """Of the probed architectures, few that show every length of every axis, layers of a kind counting as one."""
    pending = {
        architecture: {
            (pattern_of(leaf.name), axis, size) for leaf in skeleton.leaves for axis, size in enumerate(leaf.shape)
        }
        for architecture, skeleton in shapes.skeletons.items()
    }
    chosen: list[Architecture] = []
    seen: set[tuple[str, int, int]] = set()
    while pending and len(chosen) < most:
        best = max(pending, key=lambda architecture: len(pending[architecture] - seen))
        new = pending.pop(best) - seen
        if not new:
            break
        chosen.append(best)
        seen |= new
    return chosen


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """Findings about layers of a kind as one: the first, and how many others there are."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.name, pattern_of(finding.where)), []).append(finding)
    return [
        first
        if len(rest) == 0
        else Finding(
            name=name,
            severity=first.severity,
            where=pattern,
            message=f"{first.message} ({len(rest)} more of {pattern})",
        )
        for (name, pattern), (first, *rest) in groups.items()
    ]
