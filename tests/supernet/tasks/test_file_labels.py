"""What paths say: classes, groups and splits, from folders or from names."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from supernet.errors import DataError, OptionError
from supernet.tasks.file_labels import (
    MOST_FIELDS,
    FileLabel,
    check_groups,
    check_pattern,
    class_order,
    give_groups,
    read_labels,
)


def read(*paths: str, pattern: str | None = None) -> list[tuple[str, str | None, str | None]]:
    labels = read_labels([PurePosixPath(path) for path in paths], pattern)
    return [(label.label, label.group, label.split) for label in labels]


@pytest.mark.parametrize("wrapped", ["", "data/", "a/b/"])
def test_a_folder_is_a_class_whatever_is_around_it_or_in_it(wrapped: str) -> None:
    found = read(f"{wrapped}cat/1.png", f"{wrapped}dog/2.png", f"{wrapped}cat/more/3.png")
    assert found == [("cat", None, None), ("dog", None, None), ("cat", None, None)]


@pytest.mark.parametrize("wrapped", ["", "data/"])
def test_folders_of_splits_are_recognised(wrapped: str) -> None:
    names = ("train/cat/1.png", "Train/dog/1.png", "val/cat/2.png", "testing/dog/3.png")
    found = read(*(wrapped + name for name in names))
    expected = ["train", "train", "validation", "test"]
    assert found == [(label, None, split) for label, split in zip(("cat", "dog", "cat", "dog"), expected, strict=True)]


def test_a_class_may_be_called_train() -> None:
    assert read("train/1.png", "bus/1.png") == [("train", None, None), ("bus", None, None)]


def test_what_stands_beside_splits_does_not_make_them_classes() -> None:
    with pytest.raises(DataError, match="beside folders for test and train there is 'extra'"):
        read("train/cat/1.png", "test/dog/2.png", "extra/cat/3.png")


def test_names_say_class_and_group() -> None:
    assert read("x/0_george_12.wav", "x/1_theo_3.wav", pattern="{label}_{speaker}_{group}") == [
        ("0", "12", None),
        ("1", "3", None),
    ]
    assert read("train/5_01.png", "test/4_02.png", pattern="{label}_{_}") == [("5", None, "train"), ("4", None, "test")]
    found = read("id1/video1/a.wav", "id2/video1/b.wav", pattern="{label}/{group}/{_}")
    assert found == [("id1", "video1", None), ("id2", "video1", None)]
    assert read("a.b-1+.png", "c.b-2+.png", pattern="{label}.b-{group}+")[1] == ("c", "2", None)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{speaker}_{take}", "has the fields speaker, take; write for example"),
        ("{label}_{label}", "has the fields label, label"),
        ("{label}_{group}_{group}", "has the fields"),
        ("name", "has the fields none"),
        ("{label", "is not one"),
        ("{label}_{}", "is not one"),
        ("{label}{group}", "nothing between two fields"),
        (5, "is not text"),
    ],
)
def test_a_pattern_that_is_none_is_refused_before_anything_is_read(pattern: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check_pattern(pattern)
    check_pattern(None)


def test_a_pattern_of_very_many_fields_is_refused() -> None:
    """One of twenty would look for ever into a name that does not fit."""
    check_pattern("{label}" + "".join(f"_{{a{index}}}" for index in range(MOST_FIELDS - 1)))
    with pytest.raises(OptionError, match=f"has {MOST_FIELDS + 1} fields, and at most {MOST_FIELDS}"):
        check_pattern("{label}" + "".join(f"_{{a{index}}}" for index in range(MOST_FIELDS)))


def test_what_says_no_class_is_named() -> None:
    with pytest.raises(DataError, match=r"'0-x\.wav' does not fit the pattern '\{label\}_\{take\}'"):
        read("1_2.wav", "0-x.wav", pattern="{label}_{take}")
    with pytest.raises(DataError, match=r"one folder \(d/1\.png for example\).*make a folder for each.*`pattern`"):
        read("d/1.png", "d/2.png")
    with pytest.raises(DataError, match=r"2\.png lies in no folder of a class"):
        read("cat/1.png", "2.png", "dog/3.png")
    with pytest.raises(DataError, match="all 2 files are of one class, '1'"):
        read("1_2.wav", "1_3.wav", pattern="{label}_{take}")
    with pytest.raises(DataError, match="all 2 files are of one class, 'cat'"):
        read("train/cat/1.png", "test/cat/2.png")


def test_groups_can_be_given_to_splits() -> None:
    labels = [FileLabel("a", str(i), None) for i in range(4)]
    found = give_groups(labels, check_groups(test_groups=[0], validation_groups=("2",)))
    assert [label.split for label in found] == ["test", None, "validation", None]
    assert give_groups(labels, {"test": [], "validation": []}) == labels


def test_groups_that_cannot_be_given_are_refused() -> None:
    labels = [FileLabel("a", str(i), None) for i in range(4)]
    with pytest.raises(OptionError, match="test_groups names '7'; the groups are 0, 1, 2, 3"):
        give_groups(labels, {"test": ["7"]})
    with pytest.raises(OptionError, match=r"no \{group\} is in the pattern"):
        give_groups([FileLabel("a", None, None)], {"test": ["7"]})
    with pytest.raises(OptionError, match="folders of the data already say"):
        give_groups([FileLabel("a", "1", "train")], {"test": ["1"]})
    with pytest.raises(OptionError, match="named twice"):
        give_groups(labels, {"test": ["1"], "validation": ["1"]})


@pytest.mark.parametrize("names", ["p1", 3, None])
def test_groups_are_a_list(names: object) -> None:
    with pytest.raises(OptionError, match="test_groups must be a list of groups; got "):
        check_groups(test_groups=names)


def test_numbers_are_in_the_order_of_their_values() -> None:
    assert class_order({"10", "9", "0"}) == ("0", "9", "10")
    assert class_order({"b", "10", "9"}) == ("10", "9", "b")
    assert class_order({"01", "1", "0"}) == ("0", "01", "1")
