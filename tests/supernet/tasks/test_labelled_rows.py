"""Rows of CSV, TSV and JSONL files, and what is wrong with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from supernet.errors import DataError
from supernet.tasks.labelled_rows import Columns, Row, read_rows

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = Columns(None, "label")
NUMBERS = Columns(0, 1)
EXPECTED = [Row('he said "no", twice', "bad"), Row("line one line two", "good")]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", 'text,label\n"he said ""no"", twice",bad\n"line one\nline two",good\n', DEFAULT),
        ("a.csv", 'label,id,text\r\nbad,1,"he said ""no"", twice"\r\n\r\n good ,2,line one  line two', DEFAULT),
        ("a.csv", '"he said ""no"", twice",bad\n"line one\nline two",good\n', NUMBERS),
        ("a.CSV", '\ufefftext,label\n"he said ""no"", twice",bad\nline one line two,good\n', DEFAULT),
        ("a.tsv", 'sentence\tlabel\nhe said "no", twice \tbad\nline one line two\tgood\n', DEFAULT),
        ("a.tsv", 'bad\the said "no", twice\ngood\tline one line two', Columns(1, 0)),
        ("a.tsv", 'x\ty\tz\nhe said "no", twice\t0\tbad\nline one line two\t0\tgood\n', Columns("x", "z")),
        (
            "a.jsonl",
            '{"text": "he said \\"no\\", twice", "label": "bad", "id": 3}\n\n'
            '{"label": "good", "text": "line one\\nline two"}',
            DEFAULT,
        ),
    ],
)
def test_rows_are_read(tmp_path: Path, name: str, content: str, columns: Columns) -> None:
    assert read_rows(written(tmp_path, name, content), columns) == EXPECTED


def test_labels_in_json_may_be_whole_numbers_or_truth_values(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": true}\n')
    assert [row.label for row in read_rows(path, DEFAULT)] == ["0", "true"]


def test_nothing_is_quoted_in_a_tsv(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", 'text\tlabel\n"a" film\t1\n"half\t"0"\n')
    assert read_rows(path, DEFAULT) == [Row('"a" film', "1"), Row('"half', '"0"')]


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    text = "next\u2028paragraph\x0bfeed\x85"
    for name, content in (("a.tsv", f"text\tlabel\n{text}\t1\n"), ("a.jsonl", f'{{"text": "{text}", "label": 1}}')):
        if name == "a.jsonl":
            content = content.replace("\x0b", "\\u000b")
        assert read_rows(written(tmp_path, name, content), DEFAULT) == [Row("next paragraph feed", "1")]


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.csv", "", DEFAULT, "a.csv holds no rows"),
        ("a.csv", "text,label\n\n", DEFAULT, "a.csv holds no rows"),
        ("a.jsonl", "\n", DEFAULT, "a.jsonl holds no rows"),
        ("a.csv", "text,class\na,b\n", DEFAULT, "no column 'label'; there are 'text', 'class'. Name .* with label;"),
        (
            "a.csv",
            "id,body,label\n1,a,b\n",
            DEFAULT,
            "no column 'text'; there are 'id', 'body', 'label'. .* with text;",
        ),
        ("a.csv", "text,label,text\na,b,c\n", DEFAULT, "more than one column 'text'"),
        ("a.tsv", "a good film\t1\n", DEFAULT, "no column 'label'.*a file has no header, give the numbers"),
        ("a.tsv", "a\t1\n", Columns(0, 2), "has 2 columns, so that 2 is none of them"),
        ("a.csv", "text,label\na,b\nc\n", DEFAULT, "line 3: there are 1 columns, in the first line 2"),
        ("a.csv", 'text,label\n"a\nb",c\nd, \n', DEFAULT, "line 4: the label is missing"),
        ("a.tsv", "text\tlabel\na\tb\n \tc\n", DEFAULT, "line 3: the text is missing"),
        ("a.csv", 'text,label\na,b\n"c,d\ne,f\n', DEFAULT, "line 3: unexpected end of data.*quotation"),
        ("a.csv", f"text,label\n{'x' * 140_000},b\n", DEFAULT, "line 2: field larger than field limit"),
        ("a.tsv", b"text\tlabel\na\tb\n\xe9\tb\n", DEFAULT, "not text in UTF-8: byte 15, in line 3, is 0xe9"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": \n', DEFAULT, "line 2: this is no JSON"),
        ("a.jsonl", '["a", "b"]\n', DEFAULT, "line 1: this is no object"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"}\n', DEFAULT, "line 2: the label is missing"),
        ("a.jsonl", '{"text": "a", "label": null}\n', DEFAULT, "line 1: the label is missing"),
        ("a.jsonl", '{"text": "a", "label": 0.5}\n', DEFAULT, "line 1: 'label' is 0.5; it must be text"),
        ("a.jsonl", '{"text": ["a"], "label": 1}\n', DEFAULT, r"line 1: 'text' is \['a'\]; it must be text"),
        ("a.jsonl", '{"text": "a\\ud83d", "label": "b"}\n', DEFAULT, "line 1: 'text' is .*halves of characters"),
        ("a.jsonl", '{"text": "a", "label": "\\u0000"}\n', DEFAULT, "line 1: 'label' is .*take out"),
        ("a.jsonl", "[" * 100_000, DEFAULT, "line 1: this is no JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, columns: Columns, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(written(tmp_path, name, content), columns)
