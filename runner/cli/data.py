"""Verbs about data: files and folders that studies may name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, say

data = typer.Typer(no_args_is_help=True, help="Files and folders that studies name; a study never gives a path.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name that studies use.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(data, name="data")


@data.command()
def add(
    context: typer.Context,
    name: NameArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file or folder; it is read where it is.")],
) -> None:
    """Register a file or folder of data under a name."""
    from runner.registered.ledger import add_data

    entry = add_data(home_of(context), name, path)
    say(f"registered {entry.name}: {entry.path}")
    say(f"a study asks for it with: task: {{name: TASK, data: {entry.name}}}")


@data.command("list")
def list_data(context: typer.Context, output: OutputOption = Output.table) -> None:
    """List the data that studies may name."""
    from runner.registered.ledger import read_registered

    rows = [
        {"name": entry.name, "path": entry.path, "found": _found(Path(entry.path))}
        for entry in sorted(read_registered(home_of(context)).data, key=lambda entry: entry.name)
    ]
    emit(rows, output, empty="no data yet; register some with: supernaut data add NAME PATH")


@data.command()
def remove(context: typer.Context, name: NameArgument) -> None:
    """Forget a name; the files stay as they are."""
    from runner.registered.ledger import remove_data

    entry = remove_data(home_of(context), name)
    say(f"forgot {entry.name}; {entry.path} is untouched")


def _found(path: Path) -> str:
    if path.is_dir():
        return "folder"
    return "file" if path.exists() else "MISSING"
