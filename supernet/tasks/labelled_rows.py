"""Rows of text and label in a CSV, TSV or JSONL file.

A CSV is quoted as RFC 4180 says.  In a TSV nothing is quoted: a quotation mark is one, and no value holds a tab or a
line break.  A JSONL file has one object a line.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet.errors import DataError
from supernet.tasks.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text and the label: names, or numbers from 0 in files without a header.

    Text None is the column "text", or the only one beside the label.
    """

    text: str | int | None
    label: str | int


@dataclass(frozen=True)
class Row:
    """A text, its runs of white space made one space, and its label.  Neither is empty."""

    text: str
    label: str


def read_rows(path: Path, columns: Columns) -> list[Row]:
    """The rows of a file.  Raises `DataError`, which names the line, or where there is none."""
    content = read_text(path).decode("utf-8-sig")
    reader = _json_values if path.suffix.lower() in (".jsonl", ".ndjson") else _table_values
    rows = [
        Row(_filled(path, line, "text", text), _filled(path, line, "label", label))
        for line, text, label in reader(path, content, columns)
    ]
    if not rows:
        raise DataError(f"{path} holds no rows; give it some with text and label.")
    return rows


def _filled(path: Path, line: int, what: str, value: str) -> str:
    found = " ".join(value.split())
    if not found:
        raise DataError(f"{path}, line {line:,}: the {what} is missing. Fill it in, or leave the line out.")
    return found


def _table_values(path: Path, content: str, columns: Columns) -> Iterator[tuple[int, str, str]]:
    """Line, text and label of each row of a CSV or TSV."""
    lines = io.StringIO(content, newline="")
    if path.suffix.lower() == ".tsv":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, strict=True)
    line, width = 1, 0
    text = label = -1
    try:
        for row in reader:
            if row and not width:
                width = len(row)
                text, label = _places(path, row, columns)
                if isinstance(columns.label, str):  # this was the header
                    row = []
            if row and len(row) != width:
                raise DataError(
                    f"{path}, line {line:,}: there are {len(row)} columns, in the first line {width}. Is a separator "
                    "missing, or a quotation mark?"
                )
            if row:
                yield line, row[text], row[label]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line:,}: {error}. A value in quotation marks must end with one.") from error


def _places(path: Path, first: Sequence[str], columns: Columns) -> tuple[int, int]:
    """The numbers of the text's and the label's column, given the first row."""
    if isinstance(columns.text, int) and isinstance(columns.label, int):
        if max(columns.text, columns.label) >= len(first):
            raise DataError(
                f"{path} has {len(first)} columns, so that {max(columns.text, columns.label)} is none of them; they "
                "are counted from 0."
            )
        return columns.text, columns.label
    names = [name.strip() for name in first]
    text, label = _names(path, names, columns)
    return names.index(text), names.index(label)


def _names(path: Path, names: Sequence[str], columns: Columns) -> tuple[str, str]:
    """The names of the text and of the label, both among `names`."""
    label = str(columns.label)
    others = [name for name in names if name != label]
    text = str(columns.text) if columns.text is not None else others[0] if len(others) == 1 else "text"
    for name, option in ((label, "label"), (text, "text")):
        if names.count(name) != 1:
            many = "no" if name not in names else "more than one"
            raise DataError(
                f"{path} has {many} column {name!r}; there are {', '.join(map(repr, names))}. Name the right one with "
                f"{option}; where a file has no header, give the numbers of both columns, from 0."
            )
    return text, label


def _json_values(path: Path, content: str, columns: Columns) -> Iterator[tuple[int, str, str]]:
    """Line, text and label of each object of a JSONL file; whole numbers and truth values are labels too."""
    names: tuple[str, str] | None = None
    for line, found in enumerate(content.split("\n"), start=1):
        if not found.strip():
            continue
        where = f"{path}, line {line:,}"
        try:
            row: Any = json.loads(found)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: this is no JSON: {error}.") from error
        if not isinstance(row, dict):
            raise DataError(f'{where}: this is no object; write {{"text": ..., "label": ...}}.')
        if names is None:
            names = _names(path, list(row), columns)
        text, label = row.get(names[0]), row.get(names[1])
        if isinstance(label, bool | int):
            label = json.dumps(label)
        for name, value in zip(names, (text, label), strict=True):
            if value is not None and not isinstance(value, str):
                raise DataError(f"{where}: {name!r} is {value!r}; it must be text.")
            # Escapes can say what no file of text holds: halves of a character, and the byte that stands for padding.
            if value is not None and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
                raise DataError(f"{where}: {name!r} is {value!r}; take out \\u0000 and halves of characters.")
        yield line, text or "", label or ""
