"""What all verbs share: opening the record, output formats, messages."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runner.settings import Home
    from runner.store.repository import Repository


class Output(StrEnum):
    """How a read verb prints."""

    table = "table"
    json = "json"
    csv = "csv"


_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how what a spreadsheet runs begins

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]


def _study_names(context: typer.Context, incomplete: str) -> list[str]:
    """What the shell offers; nothing where the record cannot be read, and it is not the moment to say why."""
    from runner.cli.completing import study_names

    return study_names(context.find_root().params.get("home"), incomplete)


StudyArgument = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study's name, or the beginning of its id.", autocompletion=_study_names),
]
ArchitectureArgument = Annotated[
    str, typer.Argument(metavar="ARCHITECTURE", help="'knee', or the beginning of an architecture's digest.")
]


def home_of(context: typer.Context) -> Home:
    """The state folder that this call works with."""
    home: Home = context.obj
    return home


def open_record(context: typer.Context) -> Repository:
    """The record of the state folder, made where there is none."""
    from runner.store import open_repository

    return open_repository(home_of(context).database_url)


def fail(message: str) -> None:
    """One message on standard error."""
    sys.stderr.write(f"supernaut: {printable(message)}\n")


def say(message: str = "") -> None:
    """One line, or several, on standard output."""
    print(printable(message))


def emit(rows: Sequence[Mapping[str, Any]], output: Output, *, empty: str = "nothing") -> None:
    """Print rows that have the same keys, as a table, JSON or CSV."""
    if output is Output.json:
        print(json.dumps(list(rows), indent=2))
    elif output is Output.csv:
        print(_csv(rows), end="")
    elif rows:
        print_table(rows)
    else:
        say(empty)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """A plain aligned table; columns whose cells are all empty are left out."""
    names = [name for name in rows[0] if any(row[name] not in ("", None) for row in rows)]
    cells = [[printable(_cell(row[name])) for name in names] for row in rows]
    numeric = [all(isinstance(row[name], int | float) or row[name] in ("", None) for row in rows) for name in names]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    for line in [names, ["-" * width for width in widths], *cells]:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(parts).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Comma-separated values; a text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _text_cell(value) if isinstance(value, str) else value for name, value in row.items()})
    return file.getvalue()


def _text_cell(value: str) -> str:
    shown = printable(value)
    return f"'{shown}" if value and (value[0] in _FORMULA or shown[:1] in _FORMULA) else shown


def printable(text: str) -> str:
    """Text without control characters and changes of direction, which could rewrite the terminal."""
    return "".join(c for c in text if c == "\n" or c.isprintable())
