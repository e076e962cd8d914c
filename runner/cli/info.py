"""Verbs about what is here: spaces, tasks, devices, and whether this machine is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, open_record

if TYPE_CHECKING:
    from runner.registered.values import AllowedExtension
    from search_spaces import Family, GivenSpace


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (spaces, tasks, devices, doctor):
        app.command()(verb)


def spaces(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A family, for its options; all families if left out.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """List the families of search spaces, or one family's options."""
    from runner.registered.extensions import find_extension
    from runner.registered.ledger import read_registered
    from search_spaces import space_family, space_names

    registered = read_registered(home_of(context))
    if name is not None:
        entry = find_extension(name, "family", space_names(), registered)
        emit(_options(space_family(name) if entry is None else _own_space(entry)), output)
        return
    rows = [_family_row(space_family(known)) for known in space_names()]
    rows += [_extension_row(entry) for entry in registered.extensions_of("family")]
    emit(rows, output)


def _options(family: Family | GivenSpace) -> list[dict[str, Any]]:
    return [
        {"option": option.name, "about": option.about, "default": ", ".join(map(str, option.default))}
        for option in family.describe().options
    ]


def _family_row(family: Family | GivenSpace, extension: str = "") -> dict[str, Any]:
    return {
        "space": family.name,
        "about": family.summary,
        "architectures": family.space({}).size(),
        "extension": extension,
    }


def _extension_row(entry: AllowedExtension) -> dict[str, Any]:
    """One that cannot be loaded does not keep the others from being listed."""
    from runner.errors import ExtensionError
    from runner.registered.extensions import foreign_code

    try:
        with foreign_code(entry, "making its space", passing=(ExtensionError,)):
            return _family_row(_own_space(entry), entry.target)
    except ExtensionError as error:
        return {"space": entry.name, "about": f"NOT OK: {error}", "architectures": None, "extension": entry.target}


def _own_space(entry: AllowedExtension) -> Family | GivenSpace:
    from runner.registered.resolving import own_space

    return own_space(entry)


def tasks(context: typer.Context, output: OutputOption = Output.table) -> None:
    """List the tasks."""
    from runner.registered.ledger import read_registered
    from supernet.tasks.registry import describe_task, task_names

    rows = [{"task": name, "about": describe_task(name), "extension": ""} for name in task_names()]
    rows += [
        {"task": entry.name, "about": entry.about, "extension": entry.target}
        for entry in read_registered(home_of(context)).extensions_of("task")
    ]
    emit(rows, output)


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
