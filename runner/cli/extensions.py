"""Verbs about extensions: tasks and families of the operator's own that studies may name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, say

extension = typer.Typer(no_args_is_help=True, help="Tasks and families of your own; studies run only those allowed.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name that studies use.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(extension, name="extension")


@extension.command()
def allow(
    context: typer.Context,
    name: NameArgument,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:OBJECT",
            help="A function that returns a Task, or a FamilyExtension.  Left out: the entry point called NAME.",
        ),
    ] = None,
) -> None:
    """Allow code of your own as a task or family; it is imported once now, and by every process that runs a study."""
    from runner.registered.extensions import examine
    from runner.registered.ledger import add_extension, check_name

    check_name(name)
    entry = examine(name, target)
    add_extension(home_of(context), entry)
    say(f"allowed the {entry.kind} {entry.name}: {entry.target}")
    field = "task" if entry.kind == "task" else "space"
    say(f"a study asks for it with: {field}: {{name: {entry.name}}}")


@extension.command("list")
def list_extensions(context: typer.Context, output: OutputOption = Output.table) -> None:
    """List the extensions that are allowed, and the entry points of installed packages that are not."""
    from runner.registered.extensions import offered
    from runner.registered.ledger import read_registered

    allowed = read_registered(home_of(context)).extensions
    rows: list[dict[str, Any]] = [
        {"name": entry.name, "kind": entry.kind, "state": "allowed", "object": entry.target, "about": entry.about}
        for entry in allowed
    ]
    targets = {entry.target for entry in allowed}
    rows += [
        {"name": point.name, "kind": point.kind, "state": "available", "object": point.target, "about": ""}
        for point in offered()
        if point.target not in targets
    ]
    rows.sort(key=lambda row: (row["state"], row["name"]))
    emit(rows, output, empty="no extensions; allow one with: supernaut extension allow NAME MODULE:OBJECT")


@extension.command()
def remove(context: typer.Context, name: NameArgument) -> None:
    """Allow an extension no longer; its code stays as it is."""
    from runner.registered.ledger import remove_extension

    entry = remove_extension(home_of(context), name)
    say(f"{entry.name} ({entry.target}) is not allowed any more")
