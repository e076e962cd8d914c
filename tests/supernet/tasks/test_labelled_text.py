"""Labelled text: bytes as identifiers, classes by name, splits without copies, and what is refused."""

from __future__ import annotations

import random
from itertools import chain
from typing import TYPE_CHECKING

import pytest
import torch

from supernet.errors import DataError, OptionError
from supernet.tasks import labelled_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from supernet.tasks.task import Split, Task

GOLDEN = "52aef2f2435c46bb9943cbbbf711a4f11b19255922f5a9799acf0c98774c8394"


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Different texts of two classes."""
    rng = random.Random(seed)
    return [(f"{seed} {i} {rng.choice('abcdef') * 5}", rng.choice(("no", "yes"))) for i in range(count)]


def write(path: Path, rows: Iterable[tuple[str, str]]) -> Path:
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return path


def rows_of(task: Task, split: Split) -> list[tuple[str, str]]:
    return [
        (bytes(byte - 1 for byte in row if byte).decode(errors="ignore"), task.class_names[target])
        for row, target in zip(split.inputs.tolist(), split.targets.tolist(), strict=True)
    ]


def splits_of(task: Task) -> list[list[tuple[str, str]]]:
    return [rows_of(task, split) for split in (task.train, task.validation, task.test)]


def test_what_a_network_reads(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", [(" Žlu \t".strip(), "10"), ("\u2003a  b ", "9"), ("nine bytes", "10")])
    write(tmp_path / "dev.tsv", [("c", "9")])
    write(tmp_path / "test.tsv", [("d", "9")])
    task = labelled_text.load(data=tmp_path, length=6)
    assert (task.kind, task.vocabulary, task.per_position, task.input_shape) == ("tokens", 257, False, (6,))
    assert (task.classes, task.class_names, task.main_metric) == (2, ("9", "10"), "error")
    inputs, targets = task.train.read(torch.arange(3))
    assert inputs.dtype == targets.dtype == torch.int64
    assert sorted(zip(inputs.tolist(), targets.tolist(), strict=True)) == [
        ([ord("a") + 1, ord(" ") + 1, ord("b") + 1, 0, 0, 0], 0),
        ([byte + 1 for byte in b"nine b"], 1),
        ([0xC5 + 1, 0xBD + 1, ord("l") + 1, ord("u") + 1, 0, 0], 1),
    ]
    assert task.facts == {"cut_texts": 1 / 5, "copies_left_out": 0}


def test_one_file_is_divided_in_the_shares_of_its_classes(tmp_path: Path) -> None:
    rows = sentences(400)
    task = labelled_text.load(data=write(tmp_path / "a.tsv", rows))
    parts = splits_of(task)
    assert sorted(chain(*parts)) == sorted(rows)
    assert 0.1 < len(parts[1]) / 400 < 0.2
    assert len(parts[1]) == pytest.approx(len(parts[2]), abs=2)
    shares = [sum(label == "yes" for _, label in part) / len(part) for part in parts]
    assert max(shares) - min(shares) < 0.02


def test_copies_stay_together_whatever_their_case_space_or_label(tmp_path: Path) -> None:
    rows = sentences(100)
    copies = [(text.upper().replace(" ", "  "), {"no": "yes", "yes": "no"}[label]) for text, label in rows[:50]]
    parts = splits_of(labelled_text.load(data=write(tmp_path / "a.tsv", rows + copies)))
    assert sum(map(len, parts)) == 150
    keys = [{text.casefold() for text, _ in part} for part in parts]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 100


def test_texts_that_differ_only_behind_the_cut_stay_together(tmp_path: Path) -> None:
    rows = [(f"{text} and much more {i}", label) for text, label in sentences(60) for i in range(3)]
    parts = splits_of(labelled_text.load(data=write(tmp_path / "a.tsv", rows), length=12))
    keys = [{text for text, _ in part} for part in parts]
    assert min(map(len, keys)) > 3
    assert sum(map(len, keys)) == len(set.union(*keys)) < 61


def test_given_splits_are_kept_and_copies_leave_the_weaker_one(tmp_path: Path) -> None:
    train, dev, test = sentences(40), sentences(20, seed=1), sentences(20, seed=2)
    write(tmp_path / "sst2_train.tsv", [*train, *dev[:3], (test[0][0].upper(), "yes"), test[1]])
    write(tmp_path / "sst2_dev.tsv", [*dev, *test[:2]])
    write(tmp_path / "sst2_test.tsv", test)
    (tmp_path / "README.md").write_text("train or test?", encoding="utf-8")
    task = labelled_text.load(data=tmp_path)
    assert [sorted(part) for part in splits_of(task)] == [sorted(train), sorted(dev), sorted(test)]
    assert task.facts["copies_left_out"] == 7


def test_a_split_that_is_not_given_is_taken_from_the_training(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", []).write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in sentences(100)), encoding="utf-8"
    )
    (tmp_path / "test.csv").write_text("text,label\na,no\nb,yes\n", encoding="utf-8")
    task = labelled_text.load(data=tmp_path)
    assert sorted(splits_of(task)[2]) == [("a", "no"), ("b", "yes")]
    assert len(task.train) + len(task.validation) == 100
    assert 10 < len(task.validation) < 20


def test_columns_by_number(tmp_path: Path) -> None:
    rows = sentences(50)
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{label}\t{text}\n" for text, label in rows), encoding="utf-8")
    assert sorted(chain(*splits_of(labelled_text.load(data=path, text=1, label=0)))) == sorted(rows)


def test_max_samples_bounds_each_split_in_the_shares_of_its_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", [(text, "no" if i % 4 else "yes") for i, (text, _) in enumerate(sentences(400))])
    task = labelled_text.load(data=path, max_samples=40)
    assert [len(part) for part in splits_of(task)] == [40, 40, 40]
    assert all(sum(label == "yes" for _, label in part) == pytest.approx(10, abs=1) for part in splits_of(task))


def test_the_data_depend_on_the_rows_alone(tmp_path: Path) -> None:
    rows = sentences(50)
    assert labelled_text.load(data=write(tmp_path / "a.tsv", rows)).checksum() == GOLDEN
    assert labelled_text.load(data=write(tmp_path / "b.tsv", rows[::-1])).checksum() == GOLDEN


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no file"),
        ({"a.txt": [("a", "b")]}, "holds no data to train on; put a .csv"),
        ({"a.tsv": []}, r"a\.tsv holds no rows"),
        ({"a.tsv": [("a", "x"), ("b", "x")]}, "holds one class only, 'x'"),
        ({"a.tsv": [*sentences(30), ("a", "rare"), ("A", "rare")]}, "class 'rare' has 1 distinct sample"),
        ({"train.tsv": sentences(30), "test.tsv": [("a", "new")]}, "class 'new' has no sample in train, only in test"),
        ({"a.tsv": sentences(9), "b.tsv": sentences(9)}, r"a\.tsv: the name must say which split"),
        (
            {"x_train.tsv": sentences(9), "y-train.tsv": sentences(9)},
            r"x_train\.tsv and .*y-train\.tsv are both called",
        ),
        ({"dev.tsv": sentences(9), "test.tsv": sentences(9)}, "holds no data to train on"),
    ],
)
def test_data_that_cannot_be_used_are_refused(
    tmp_path: Path, files: dict[str, list[tuple[str, str]]], message: str
) -> None:
    for name, rows in files.items():
        write(tmp_path / name, rows)
    with pytest.raises(DataError, match=message):
        labelled_text.load(data=tmp_path)


def test_more_than_can_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^labelled_text: 9 samples of length 100,000,000 are 900,000,000 values"):
        labelled_text.load(data=write(tmp_path / "a.tsv", sentences(9)), length=100_000_000)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must end in \.csv, \.tsv"):
        labelled_text.load(data=write(tmp_path / "a.txt", sentences(9)))
    with pytest.raises(DataError, match="there is no file or folder"):
        labelled_text.load(data=tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": 0}, "text and label must both be names of columns"),
        ({"label": 1}, "text and label must both be names of columns"),
        ({"text": -1, "label": 1}, "text must be a whole number of at least 0; got -1"),
        ({"text": 1, "label": 1}, "text and label are the same column, 1"),
        ({"text": 0.5, "label": 1}, "text must be a whole number"),
        ({"length": 0}, "length must be a whole number of at least 1"),
        ({"max_samples": 1}, "max_samples must be a whole number of at least 2"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^labelled_text: {message}"):
        labelled_text.load(data=tmp_path, **options)  # type: ignore[arg-type]


def test_validation_may_be_bounded_on_its_own(tmp_path: Path) -> None:
    """Every evaluation of a search reads it, so it should be smaller than what is trained on."""
    path = tmp_path / "many.csv"
    path.write_text("text,label\n" + "".join(f"sample {i},{'ab'[i % 2]}\n" for i in range(200)))
    whole, bounded = labelled_text.load(data=path), labelled_text.load(data=path, validation_samples=10)
    assert len(bounded.validation) == 10
    assert [len(bounded.train), len(bounded.test)] == [len(whole.train), len(whole.test)]
    assert len(labelled_text.load(data=path, max_samples=6, validation_samples=10).validation) == 6
