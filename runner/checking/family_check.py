"""Whether a family can be searched: what `supernet.inspection` finds, and the cost and the export of its architectures.

Owns which architectures are looked at and what the report holds.  Nothing is trained, and nothing of it is recorded.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictors.costs import cost
from predictors.design import spread
from runner.errors import ExtensionError, SpecError
from runner.registered.resolving import open_family, task_of
from runner.registered.values import NOTHING, Registered
from search_spaces import SpaceError
from supernet.errors import BundleError, ExportError, IncompatibleTask, OptionError, ParityError, UnknownName
from supernet.export.onnx import check_onnx, export_onnx, rounds_inputs
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.inspection.finding import Finding, problem
from supernet.inspection.inspect import FATAL, Inspection, inspect_family
from supernet.models.family import CONTEXT_TOKENS
from supernet.skeleton import build_real
from supernet.slicing import Layouts
from supernet.tasks.task import predict

if TYPE_CHECKING:
    from runner.study import SpaceSpec, TaskSpec
    from search_spaces import Architecture
    from supernet.models.family import ModelFamily
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

ARCHITECTURES, EXPORTS = 16, 3
SAMPLES = 4  # on which an exported file is compared with its module


@dataclass(frozen=True, kw_only=True)
class FamilyCheck:
    """What a check found.  `rows` are the costs of each sampled architecture, and how far its file is from it."""

    family: str
    task: str
    architectures: int  # that the space has
    inspection: Inspection
    rows: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that make the check fail."""
        return tuple(finding for finding in self.findings if finding.severity == "problem")


def check_family(
    asked: SpaceSpec,
    task: TaskSpec | None = None,
    registered: Registered = NOTHING,
    *,
    architectures: int = ARCHITECTURES,
    exports: int = EXPORTS,
    seed: int = 0,
    note: Callable[[str], None] = lambda _: None,
) -> FamilyCheck:
    """Look at a family, narrowed as a study narrows it, on a task or on the family's own example.

    `architectures` spread over the space are built, run and counted, the first few of them exported.  Raises
    `SpecError` where family, choices or task stand for nothing; whatever is wrong with the family itself is a finding.
    """
    try:
        opened = open_family(asked, registered)
        made = _task(task, opened.model, registered)
        build = opened.build_for(made)
    except (SpaceError, UnknownName, OptionError, IncompatibleTask, ExtensionError) as error:
        raise SpecError(str(error)) from error
    sampled = spread(opened.space, architectures, random.Random(seed))
    inspection = inspect_family(
        build,
        opened.space,
        made,
        Layouts(opened.model.layouts, unused=True),
        sampled,
        seed=seed,
        narrowed=bool(asked.choices),
        note=note,
    )
    found, rows = list(inspection.findings), []
    if not any(finding.name in FATAL for finding in found):
        note("computing costs and exporting")
        counted = _rows(build, opened.model, made, sampled, exports, seed)
        rows = [row for row, _ in counted]
        found += [finding for _, findings in counted for finding in findings]
    return FamilyCheck(
        family=asked.name,
        task=made.name,
        architectures=opened.space.size(),
        inspection=inspection,
        rows=tuple(rows),
        findings=tuple(sorted(found, key=lambda finding: finding.severity)),
    )


def _task(asked: TaskSpec | None, model: ModelFamily, registered: Registered) -> Task:
    if asked is not None:
        return task_of(asked, registered)
    if model.example is None:
        raise SpecError(
            f"the family {model.name!r} brings no example of its inputs; name a task: --task NAME, and --data NAME for "
            "one that reads data."
        )
    return model.example()


def _rows(
    build: Build, model: ModelFamily, task: Task, sampled: Sequence[Architecture], exports: int, seed: int
) -> list[tuple[dict[str, Any], list[Finding]]]:
    with tempfile.TemporaryDirectory(prefix="supernaut-check-") as folder:
        return [
            _row(build, model, task, architecture, Path(folder) / "model.onnx" if position < exports else None, seed)
            for position, architecture in enumerate(sampled)
        ]


def _row(
    build: Build, model: ModelFamily, task: Task, architecture: Architecture, path: Path | None, seed: int
) -> tuple[dict[str, Any], list[Finding]]:
    where = architecture.to_json()
    module = build_real(build, architecture, seed)
    row: dict[str, Any] = {"architecture": architecture.digest}
    found: list[Finding] = []
    try:
        counted = cost(module, task.example(1))
        row |= {"parameters": counted.parameters, "macs": counted.macs, "model_bytes": counted.model_bytes}
        row["peak_activation_bytes"] = counted.peak_activation_bytes
        row |= {name: count(module, CONTEXT_TOKENS) for name, count in model.costs.items()}
    except Exception as error:  # noqa: BLE001  (counting runs somebody's code; whatever it raises is the finding)
        found.append(problem("cost-failed", where, f"the cost of {where} cannot be computed: {error}"))
    row["exported"] = None
    if path is not None:
        try:
            export_onnx(module, task.example(2), path)
            check_onnx(path)
            samples = task.example(SAMPLES)
            parity = check_parity(
                predict(module, samples).numpy(),
                Session(path).run_each(samples.numpy()),
                where,
                rounds_inputs=rounds_inputs(path),
            )
            row["exported"] = parity.largest_difference
        except ParityError as error:
            found.append(problem("parity-failed", where, str(error)))
        except (ExportError, BundleError) as error:
            found.append(problem("export-failed", where, f"{where}: {error}"))
    row["answers"] = dict(architecture)
    return row, found
