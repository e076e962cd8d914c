"""Verbs about what a study found: front, show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import ArchitectureArgument, Output, OutputOption, StudyArgument, emit, print_table, say
from runner.cli.source import ServerOption, open_source

if TYPE_CHECKING:
    from runner.front import Front
    from runner.store.records import ValueRecord

_EMPTY = "the front is empty: nothing has been evaluated yet, or nothing keeps the bounds"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (front, show):
        app.command()(verb)


def front(
    context: typer.Context,
    study: StudyArgument,
    output: OutputOption = Output.table,
    every: Annotated[bool, typer.Option("--all", help="Also the points that are not on the front.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Also draw the front into this SVG file.")] = None,
    server: ServerOption = None,
) -> None:
    """Print the Pareto front, each number with its provenance."""
    with open_source(context, server) as source:
        record = source.study(study)
        found = source.front(record, every=every or picture is not None)
    if picture is not None:
        from runner.dashboard.picture import write_picture

        write_picture(picture, record.name, found)
    if output is Output.table and not every:
        print_front(found)
        return
    from runner.front_rows import front_rows

    emit(front_rows(found, every=every), output, empty=_EMPTY)


def print_front(found: Front) -> None:
    """The front as a table: objectives with unit and provenance, later fidelities beside them.

    Below it what was retrained though it is not on the front, and how the kinds of numbers agree.
    """
    from runner.dashboard.words import PROVENANCE, label

    if not found.points:
        say(_EMPTY)
        return
    listed = [*found.points, *(point for point in found.others if point.later)]
    rows = []
    for point in listed:
        row: dict[str, Any] = {
            "": "knee" if point is found.knee else "" if point in found.points else "off the front",
            "architecture": point.architecture.digest,
        }
        for metric in found.goals:
            row[label(metric)] = _with_provenance(point.values[metric])
            for fidelity in ("retrained", "exported"):
                later = point.later.get(fidelity, {}).get(metric)
                row[f"{metric} {fidelity}"] = _number(later.value) if later else ""
        rows.append(row)
    print_table(rows)
    say()
    say(f"{len(found.points)} points on the front of {found.evaluated} evaluated")
    shown = {value.provenance for point in listed for value in point.values.values()}
    shown |= {value.provenance for p in listed for values in p.later.values() for value in values.values()}
    for provenance, meaning in PROVENANCE.items():
        if provenance in shown:
            say(f"  {provenance:<10} {meaning}")
    _print_agreement(found)


def _print_agreement(found: Front) -> None:
    """How each kind of number ranks the points like the kind before."""
    from runner.agreement import COLUMNS, agreements, sentences, table_rows

    kept = agreements(found)
    if not kept:
        return
    say()
    rows = table_rows(kept)
    if rows:
        print_table([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    for sentence in sentences(kept):
        say(sentence)


def _with_provenance(value: ValueRecord) -> str:
    reach = ""
    if value.lower is not None and value.upper is not None and value.provenance == "predicted":
        reach = f" [{value.lower:.4f}, {value.upper:.4f}]"
    return f"{_number(value.value)}{reach} {value.provenance}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.4f}"


def show(
    context: typer.Context,
    study: StudyArgument,
    architecture: ArchitectureArgument,
    output: OutputOption = Output.table,
    server: ServerOption = None,
) -> None:
    """Show an architecture layer by layer, with every number and its provenance."""
    from runner.front import NAMED_POINTS, choose_one
    from supernet.export.card import architecture_lines

    with open_source(context, server) as source:
        found = source.front(source.study(study), every=architecture not in NAMED_POINTS)
    point = choose_one(found, architecture)
    rows = [
        {
            "metric": value.metric,
            "value": value.value,
            "lower": value.lower,
            "upper": value.upper,
            "provenance": value.provenance,
            "device": value.device_id,
        }
        for values in (point.values, *point.later.values())
        for value in values.values()
    ]
    if output is Output.json:
        print(
            json.dumps(
                {"digest": point.architecture.digest, "answers": dict(point.architecture), "numbers": rows},
                indent=2,
            )
        )
        return
    if output is Output.table:
        say(f"architecture {point.architecture.digest}")
        for line in architecture_lines(point.architecture):
            say(f"  {line}")
        say()
    emit(rows, output)
