"""Verbs about what is here: spaces, tasks, devices, the record, and whether this machine is ready."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, open_record, say

database = typer.Typer(no_args_is_help=True, help="The record of studies.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (spaces, tasks, devices, doctor):
        app.command()(verb)
    app.add_typer(database, name="db")


def spaces(
    name: Annotated[str | None, typer.Argument(help="A family, for its options; all families if left out.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """List the families of search spaces, or one family's options."""
    from search_spaces import describe_space, load_space, space_names

    if name is None:
        rows: list[dict[str, Any]] = [
            {
                "space": known,
                "about": describe_space(known).summary,
                "architectures": load_space(known).size(),
            }
            for known in space_names()
        ]
    else:
        rows = [
            {"option": option.name, "about": option.about, "default": ", ".join(map(str, option.default))}
            for option in describe_space(name).options
        ]
    emit(rows, output)


def tasks(output: OutputOption = Output.table) -> None:
    """List the tasks."""
    from supernet.tasks.registry import describe_task, task_names

    emit([{"task": name, "about": describe_task(name)} for name in task_names()], output)


def devices(context: typer.Context, output: OutputOption = Output.table) -> None:
    """List the devices that were measured, this machine marked."""
    from predictors.latency.device import this_device

    here = this_device()
    with open_record(context) as repository:
        known = {device.id: device for device in repository.devices()}
    rows = [
        {
            "device": device.id,
            "this machine": "yes" if device.id == here.fingerprint else "",
            "processor": device.description["processor"],
            "cores": device.description["cores"],
            "reference_ms": device.reference_ms,
        }
        for device in known.values()
    ]
    if here.fingerprint not in known:
        rows.append(
            {
                "device": here.fingerprint,
                "this machine": "yes",
                "processor": here.processor,
                "cores": here.cores,
                "reference_ms": None,
            }
        )
    emit(rows, output)


def doctor(context: typer.Context, output: OutputOption = Output.table) -> None:
    """Check whether this machine is ready for a study; exit code 6 where something is not."""
    from runner.doctor import examine

    findings = examine(home_of(context))
    emit([{"check": f.check, "ok": "ok" if f.ok else "NOT OK", "found": f.found} for f in findings], output)
    if not all(finding.ok for finding in findings):
        from runner.errors import FAILED

        raise typer.Exit(FAILED)


@database.command()
def upgrade(context: typer.Context) -> None:
    """Bring the record to this version's schema; a copy is kept beside it."""
    from runner.store import upgrade as upgrade_record

    done = upgrade_record(home_of(context).database)
    if done.backup is None:
        say(f"the record is at revision {done.after} already")
    else:
        say(f"upgraded the record from {done.before} to {done.after}; the old one is kept as {done.backup}")
