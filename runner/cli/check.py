"""The verb that looks at a family before any study of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, print_table, say

if TYPE_CHECKING:
    from runner.checking.family_check import FamilyCheck


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(check)


def check(
    context: typer.Context,
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="A family that Supernaut brings, or one allowed.")],
    task: Annotated[str | None, typer.Option(help="A task.  Default: the family's own example.")] = None,
    data: Annotated[str | None, typer.Option(help="The name of the task's registered data.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the task, as in a study.")
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="What to narrow the space to, as in a study: '{depth: [2, 3]}'.")
    ] = None,
    architectures: Annotated[int, typer.Option(min=2, max=1000, help="How many to sample from the space.")] = 16,
    exports: Annotated[int, typer.Option(min=0, max=1000, help="How many of them to export and compare.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Which ones, and which initial values.")] = 0,
    output: OutputOption = Output.table,
) -> None:
    """Build, run, count and export architectures of a family, and say what would spoil a study of it."""
    from runner.checking.family_check import check_family
    from runner.errors import CheckFailed, SpecError
    from runner.registered.ledger import read_registered
    from runner.study import SpaceSpec, TaskSpec, read_value

    if task is None and (data is not None or settings):
        raise SpecError("--data and --set belong to a task; name one with --task.")
    narrowed = read_value(choices, "--choices") if choices else {}
    if not isinstance(narrowed, dict):
        raise SpecError(f"--choices maps choices to values, as in '{{depth: [2, 3]}}'; got {choices!r}.")
    asked = None
    if task is not None:
        options = dict(_setting(one) for one in settings or [])
        asked = TaskSpec.model_validate({**options, **({"data": data} if data else {}), "name": task})
    found = check_family(
        _space(SpaceSpec, family, narrowed),
        asked,
        read_registered(home_of(context)),
        architectures=architectures,
        exports=exports,
        seed=seed,
        note=_note,
    )
    _print(found, output)
    if found.problems:
        names = ", ".join(dict.fromkeys(finding.name for finding in found.problems))
        raise CheckFailed(f"the family {family!r} has {_count(len(found.problems), 'problem')}: {names}.")


def _space(model: Any, family: str, narrowed: dict[Any, Any]) -> Any:
    from pydantic import ValidationError

    from runner.errors import SpecError

    try:
        return model(name=family, choices=narrowed)
    except ValidationError:
        raise SpecError(f"--choices gives each choice a value or a list of values; got {narrowed!r}.") from None


def _setting(given: str) -> tuple[str, object]:
    from runner.errors import SpecError
    from runner.study import read_value

    key, sign, value = given.partition("=")
    if not sign or not key:
        raise SpecError(f"--set {given}: write KEY=VALUE.")
    return key, read_value(value, f"--set {key}")


def _note(words: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{words} ...\n")


def _print(found: FamilyCheck, output: Output) -> None:
    from supernet.inspection.inspect import merged

    findings = [asdict(finding) for finding in merged(found.findings)]
    if output is Output.json:
        print(json.dumps(_document(found), indent=2))
        return
    if output is Output.csv:
        emit(findings, output)
        return
    inspected = found.inspection
    say(
        f"{found.family} on {found.task}: {found.architectures:,} architectures in the space, {inspected.built} built, "
        f"{inspected.traced} followed forwards and backwards"
    )
    tensors = _tensors(found)
    if tensors:
        say(f"\nparameters ({len(inspected.parameters)}; * stands for the layers of a kind)")
        print_table(tensors)
    if found.rows:
        say("\narchitectures (exported: largest difference between file and module)")
        print_table([_cells(row) for row in found.rows])
    say()
    for finding in findings:
        say(f"{finding['severity'].upper():<8} {finding['name']}: {finding['message']}")
    undecided = sum(axis.verdict == "unseen" for axis in inspected.axes)
    say(
        f"{_count(len(found.problems), 'problem')}, {_count(len(found.findings) - len(found.problems), 'warning')}; "
        f"{_count(len(inspected.axes), 'elastic axis', 'elastic axes')} followed, {undecided} of them undecided"
    )


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    difference = row["exported"]
    shown = {name: value for name, value in row.items() if name != "answers"}
    return {**shown, "exported": "" if difference is None else f"{difference:.1e}"}


def _tensors(found: FamilyCheck) -> list[dict[str, Any]]:
    """One row for the parameters of a kind."""
    from supernet.inspection.nesting import pattern_of

    rows: dict[tuple[str, str, str, str], int] = {}
    for one in found.inspection.parameters:
        elastic = ", ".join(str(axis) for axis in one.elastic)
        key = (pattern_of(one.name), " x ".join(map(str, one.shape)), elastic, str(one.layout))
        rows[key] = rows.get(key, 0) + 1
    return [
        {"parameter": name, "times": times, "largest shape": shape, "elastic axes": elastic, "layout": layout}
        for (name, shape, elastic, layout), times in rows.items()
    ]


def _document(found: FamilyCheck) -> dict[str, Any]:
    inspected = found.inspection
    return {
        "family": found.family,
        "task": found.task,
        "architectures_in_space": found.architectures,
        "architectures_built": inspected.built,
        "architectures_followed": inspected.traced,
        "parameters": [
            {"name": one.name, "shape": one.shape, "elastic_axes": one.elastic, "layout": str(one.layout)}
            for one in inspected.parameters
        ],
        "axes": [{**asdict(one), "suggestion": one.suggestion and str(one.suggestion)} for one in inspected.axes],
        "architectures": list(found.rows),
        "findings": [asdict(finding) for finding in found.findings],
        "passed": not found.problems,
    }


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
