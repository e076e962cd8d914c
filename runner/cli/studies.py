"""Verbs about studies: run, resume, list, status, front, show, delete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import (
    ArchitectureArgument,
    Output,
    OutputOption,
    StudyArgument,
    emit,
    home_of,
    open_record,
    print_table,
    say,
)

if TYPE_CHECKING:
    from runner.front import Front, Point
    from runner.settings import Home
    from runner.store.records import StudyRecord, ValueRecord
    from runner.store.repository import Repository


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (run, resume, status, front, show, delete):
        app.command()(verb)
    app.command("list")(list_studies)


def run(context: typer.Context, file: Annotated[Path, typer.Argument(help="A study file, YAML or JSON.")]) -> None:
    """Run a study in the foreground; the same command goes on where it was cut off."""
    from runner.study import load_study

    spec = load_study(file)
    with open_record(context) as repository:
        from runner.cli.progress import following
        from runner.pipeline import submit

        with following() as reporter:
            study = submit(spec, repository, home_of(context), reporter)
        _run(context, repository, study)


def resume(context: typer.Context, study: StudyArgument) -> None:
    """Go on with a study that was interrupted or failed."""
    with open_record(context) as repository:
        _run(context, repository, repository.study(study))


def _run(context: typer.Context, repository: Repository, study: StudyRecord) -> None:
    from runner import pipeline
    from runner.cli.progress import following, stop_on_signals

    if study.state == "complete":
        say(f"study {study.name} ({study.short_id}) is complete already; this is its front")
    else:
        with stop_on_signals() as stop, following() as reporter:
            study = pipeline.run(study, repository, home_of(context), reporter, stop)
    _print_result(repository, study, home_of(context))


def _print_result(repository: Repository, study: StudyRecord, home: Home) -> None:
    from runner.front import read_front
    from runner.service.commands import command_prefix

    found = read_front(study, repository)
    say()
    _print_front(found)
    details = {stage.name: stage.detail for stage in repository.stages(study.id)}
    say()
    for digest, folder in details["export"].get("bundles", {}).items():
        say(f"bundle of {digest}: {folder}")
        say(f"  the model is {folder}/model.onnx; README.md beside it says how to run it")
    chosen = found.knee.architecture.digest if found.knee else "ARCHITECTURE"
    say()
    say("look further:")
    prefix = command_prefix(home.database)
    for command, purpose in (
        (f"show {study.name} {chosen}", "the architecture, layer by layer"),
        (f"front {study.name} --output csv", "the front as data"),
        (f"export {study.name} DIGEST --to DIR", "another point: retrain and export it"),
        ("serve", "this front in a browser"),
    ):
        say(f"  {prefix} {command:<36} {purpose}")


def list_studies(context: typer.Context, output: OutputOption = Output.table) -> None:
    """List all studies."""
    with open_record(context) as repository:
        rows = [
            {
                "name": study.name,
                "id": study.short_id,
                "state": study.state,
                "reason": study.reason or "",
                "created": study.created_at.isoformat(timespec="seconds"),
            }
            for study in repository.studies()
        ]
    emit(rows, output, empty="no studies yet; start one with: supernaut run examples/digits.yaml")


def status(context: typer.Context, study: StudyArgument, output: OutputOption = Output.table) -> None:
    """Say where a study stands: its state, stages and counts."""
    with open_record(context) as repository:
        record = repository.study(study)
        evaluations = repository.evaluations(record.id)
        stages = [
            {
                "stage": stage.name,
                "state": stage.state,
                "started": stage.started_at.isoformat(timespec="seconds") if stage.started_at else "",
                "finished": stage.finished_at.isoformat(timespec="seconds") if stage.finished_at else "",
                "detail": _in_short(stage.detail),
            }
            for stage in repository.stages(record.id)
        ]
    if output is Output.table:
        reason = f" ({record.reason})" if record.reason else ""
        failed = sum(evaluation.state == "failed" for evaluation in evaluations)
        say(f"{record.name} ({record.id}): {record.state}{reason}")
        say(f"{len(evaluations)} evaluations recorded, {failed} of them failed")
        say()
    emit(stages, output)


def _in_short(detail: Any) -> str:
    parts = []
    for name, value in dict(detail).items():
        if name == "health" and value:
            last = value[-1]
            shown = {k: "not finite" if v is None else v if k == "step" else f"{v:.3f}" for k, v in last.items()}
            parts.append(", ".join(f"{k} {v}" for k, v in shown.items()))
        elif isinstance(value, str | int | float):
            parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return "; ".join(parts)


def front(
    context: typer.Context,
    study: StudyArgument,
    output: OutputOption = Output.table,
    every: Annotated[bool, typer.Option("--all", help="Also the points that are not on the front.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Also draw the front into this SVG file.")] = None,
) -> None:
    """Print the Pareto front, each number with its provenance."""
    from runner.front import read_front

    with open_record(context) as repository:
        record = repository.study(study)
        found = read_front(record, repository)
    if picture is not None:
        from runner.dashboard.picture import write_picture

        write_picture(picture, record.name, found)
    if output is Output.table and not every:
        _print_front(found)
        return
    points = [*found.points, *found.others] if every else list(found.points)
    kept = _agreement_fields(found)
    emit([{**_data_row(point, found), **kept} for point in points], output, empty=_EMPTY)


_EMPTY = "the front is empty: nothing has been evaluated yet, or nothing keeps the bounds"


def _print_front(found: Front) -> None:
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
    say(f"{len(found.points)} points on the front of {len(found.points) + len(found.others)} evaluated")
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


def _agreement_fields(found: Front) -> dict[str, Any]:
    """The same for every row, so that a table of rows alone holds it."""
    from runner.agreement import agreements

    return {
        f"{one.metric}_{one.before}_{one.after}_{name}": value
        for one in agreements(found)
        for name, value in (("kendall", one.kendall), ("spearman", one.spearman), ("points", one.points))
    }


def _with_provenance(value: ValueRecord) -> str:
    reach = ""
    if value.lower is not None and value.upper is not None and value.provenance == "predicted":
        reach = f" [{value.lower:.4f}, {value.upper:.4f}]"
    return f"{_number(value.value)}{reach} {value.provenance}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.4f}"


def _data_row(point: Point, found: Front) -> dict[str, Any]:
    row: dict[str, Any] = {
        "architecture": point.architecture.digest,
        "on_front": point in found.points,
        "knee": point is found.knee,
    }
    for metric, value in point.values.items():
        row[metric] = value.value
        row[f"{metric}_provenance"] = value.provenance
        row[f"{metric}_lower"] = value.lower
        row[f"{metric}_upper"] = value.upper
    for fidelity in ("retrained", "exported"):
        for metric in found.goals:
            later = point.later.get(fidelity, {}).get(metric)
            row[f"{metric}_{fidelity}"] = later.value if later else None
    row["answers"] = point.architecture.to_json()
    return row


def show(
    context: typer.Context,
    study: StudyArgument,
    architecture: ArchitectureArgument,
    output: OutputOption = Output.table,
) -> None:
    """Show an architecture layer by layer, with every number and its provenance."""
    from runner.front import choose_one, read_front
    from supernet.export.card import architecture_lines

    with open_record(context) as repository:
        found = read_front(repository.study(study), repository)
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


def delete(
    context: typer.Context,
    study: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study, everything it measured, and its files."""
    from runner.pipeline import exclusively

    home = home_of(context)
    with open_record(context) as repository:
        record = repository.study(study)
        count = len(repository.evaluations(record.id))
        if not yes:
            sure = typer.confirm(f"Delete the study {record.name} with {count} evaluations and its files?")
            if not sure:
                say("nothing was deleted")
                return
        folder = home.study(record.id)
        with exclusively(folder, record.name):
            repository.delete_study(record.id)
            shutil.rmtree(folder, ignore_errors=True)
    say(f"deleted {record.name}")
