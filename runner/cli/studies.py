"""Verbs about studies: run, resume, list, status, delete."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, StudyArgument, emit, home_of, open_record, printable, say
from runner.cli.fronts import print_front
from runner.cli.source import ServerOption, command_line, open_client, open_source

if TYPE_CHECKING:
    from runner.settings import Home
    from runner.store.records import StudyRecord
    from runner.store.repository import Repository


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (run, resume, status, delete):
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


def resume(context: typer.Context, study: StudyArgument, server: ServerOption = None) -> None:
    """Go on with a study that was interrupted or failed: here, or on a server, whose workers take it."""
    if server:
        with open_client(context, server) as client:
            found = client.study(study).resume()
        say(f"the workers of {client.url} go on with {found.name}")
        say(f"follow it with: {command_line(context, server, 'watch', found.name)}")
        return
    with open_record(context) as repository:
        _run(context, repository, repository.study(study))


def _run(context: typer.Context, repository: Repository, study: StudyRecord) -> None:
    from runner import pipeline
    from runner.cli.progress import following, stop_on_signals
    from runner.process import settle

    if study.state == "complete":
        say(f"study {study.name} ({study.short_id}) is complete already; this is its front")
    else:
        settle()
        with stop_on_signals() as stop, following() as reporter:
            study = pipeline.run(study, repository, home_of(context), reporter, stop)
    _print_result(repository, study, home_of(context))


def _print_result(repository: Repository, study: StudyRecord, home: Home) -> None:
    from runner.front import read_front
    from runner.service.commands import command_prefix

    found = read_front(study, repository)
    say()
    print_front(found)
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


def list_studies(context: typer.Context, output: OutputOption = Output.table, server: ServerOption = None) -> None:
    """List all studies."""
    with open_source(context, server) as source:
        rows = [
            {
                "name": study.name,
                "id": study.short_id,
                "state": study.state,
                "reason": study.reason or "",
                "created": study.created_at.isoformat(timespec="seconds"),
            }
            for study in source.studies()
        ]
    begin = "supernaut submit FILE" if server else "supernaut run examples/digits.yaml"
    emit(rows, output, empty=f"no studies yet; start one with: {begin}")


def status(
    context: typer.Context, study: StudyArgument, output: OutputOption = Output.table, server: ServerOption = None
) -> None:
    """Say where a study stands: its state, stages and counts."""
    with open_source(context, server) as source:
        record = source.study(study)
        recorded, failed = source.counts(record)
        stages = [
            {
                "stage": stage.name,
                "state": stage.state,
                "started": stage.started_at.isoformat(timespec="seconds") if stage.started_at else "",
                "finished": stage.finished_at.isoformat(timespec="seconds") if stage.finished_at else "",
                "detail": _in_short(stage.detail),
            }
            for stage in source.stages(record)
        ]
    if output is Output.table:
        reason = f" ({record.reason})" if record.reason else ""
        say(f"{record.name} ({record.id}): {record.state}{reason}")
        say(f"{recorded} evaluations recorded, {failed} of them failed")
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


def delete(
    context: typer.Context,
    study: StudyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
) -> None:
    """Delete a study, everything it measured, and its files."""
    if server:
        with open_client(context, server) as client:
            found = client.study(study)
            if yes or _is_sure(found.name, found.counts.all):
                found.delete()
                say(f"deleted {found.name}")
        return
    from runner.locking import exclusively

    home = home_of(context)
    with open_record(context) as repository:
        record = repository.study(study)
        if not yes and not _is_sure(record.name, len(repository.evaluations(record.id))):
            return
        folder = home.study(record.id)
        with exclusively(folder, record.name):
            repository.delete_study(record.id)
            shutil.rmtree(folder, ignore_errors=True)
    say(f"deleted {record.name}")


def _is_sure(name: str, evaluations: int) -> bool:
    sure = typer.confirm(printable(f"Delete the study {name} with {evaluations} evaluations and its files?"))
    if not sure:
        say("nothing was deleted")
    return sure
