"""Splits: nothing in two of them, every class in each, and no say for file order."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest

from supernet.errors import DataError, OptionError
from supernet.tasks.content_splits import Sample, choose, content_digest, split_rows


def some(count: int, label: str, **more: str) -> list[Sample]:
    return [
        Sample(label, content_digest(np.array([label, more.get("group", ""), str(i)])), **more) for i in range(count)
    ]


def parts_of(samples: list[Sample]) -> dict[str, list[Sample]]:
    return {name: [samples[row] for row in rows] for name, rows in split_rows(samples).items()}


def test_each_class_is_divided_in_the_same_shares() -> None:
    samples = some(100, "a") + some(40, "b") + some(3, "c")
    parts = parts_of(samples)
    assert Counter(sample.label for sample in parts["train"]) == {"a": 70, "b": 28, "c": 1}
    assert Counter(sample.label for sample in parts["validation"]) == {"a": 15, "b": 6, "c": 1}
    assert Counter(sample.label for sample in parts["test"]) == {"a": 15, "b": 6, "c": 1}
    assert sorted(row for rows in split_rows(samples).values() for row in rows) == list(range(143))


def test_the_order_of_files_has_no_say_and_classes_are_mixed() -> None:
    samples = some(50, "a") + some(50, "b")
    shuffled = random.Random(0).sample(samples, len(samples))
    assert parts_of(samples) == parts_of(shuffled)
    labels = [sample.label for sample in parts_of(samples)["train"]]
    assert sum(first != second for first, second in itertools.pairwise(labels)) > 15


def test_copies_stay_together_whatever_they_are_called() -> None:
    samples = some(30, "a") + some(30, "b")
    copies = [Sample("b", sample.content) for sample in samples[:20]] + samples[:10]
    parts = parts_of(samples + copies)
    contents = [{sample.content for sample in part} for part in parts.values()]
    assert sum(map(len, contents)) == len(set().union(*contents)) == 60
    assert sum(map(len, parts.values())) == 90, "copies within one split may stay"


def test_given_splits_stay_and_what_is_missing_comes_from_train() -> None:
    samples = some(20, "a", split="train") + some(20, "b", split="train")
    test = [Sample(label, f"{label}{i}", split="test") for label in "ab" for i in range(7)]
    parts = parts_of(samples + test)
    assert set(parts["test"]) == set(test)
    assert Counter(sample.label for sample in parts["validation"]) == {"a": 3, "b": 3}
    given = [*test, *samples, Sample("a", "v", split="validation")]
    assert [len(part) for part in parts_of(given).values()] == [40, 1, 14]


@pytest.mark.parametrize(("strong", "weak"), [("test", "train"), ("test", "validation"), ("validation", "train")])
def test_of_copies_in_given_splits_only_the_strongest_keeps_its_own(strong: str, weak: str) -> None:
    samples = [
        Sample(label, f"{split}{label}{i}", split=split)
        for split in ("train", "validation", "test")
        for label in "ab"
        for i in range(3)
    ]
    copied = Sample("a", f"{strong}a0", split=weak)
    assert parts_of([copied, *samples]) == parts_of(samples)


def test_groups_that_cross_classes_stay_whole() -> None:
    samples = [sample for speaker in range(20) for label in "xyz" for sample in some(5, label, group=f"s{speaker}")]
    parts = parts_of(samples)
    groups = {name: {sample.group for sample in part} for name, part in parts.items()}
    assert {name: len(found) for name, found in groups.items()} == {"train": 14, "validation": 3, "test": 3}
    assert len(set.union(*groups.values())) == 20


def test_three_groups_are_enough_and_two_are_not() -> None:
    samples = [sample for speaker in "abc" for label in "xy" for sample in some(5, label, group=speaker)]
    assert [len(part) for part in parts_of(samples).values()] == [10, 10, 10]
    with pytest.raises(DataError, match=r"two groups \(a, b\).*between train and validation and test.*stays whole"):
        split_rows([sample for sample in samples if sample.group != "c"])
    assert [len(part) for part in parts_of([*samples, *some(2, "x", group="t", split="test")]).values()] == [20, 10, 2]


def test_groups_within_a_class_are_divided_class_by_class() -> None:
    """Videos of a speaker who is the class."""
    samples = [sample for label in "xyz" for v in range(10) for sample in some(4, label, group=f"{label}{v}")]
    parts = parts_of(samples)
    for part, count in zip(parts.values(), (6, 2, 2), strict=True):
        assert Counter(group[0] for group in {str(sample.group) for sample in part}) == dict.fromkeys("xyz", count)
    with pytest.raises(DataError, match=r"'w' has 2 groups to divide"):
        split_rows(samples + some(3, "w", group="w0") + some(3, "w", group="w1"))


def test_a_copy_in_another_group_is_left_out() -> None:
    samples = [sample for speaker in "abcdef" for label in "xy" for sample in some(5, label, group=speaker)]
    copies = [Sample("x", sample.content, group="g") for sample in samples[:5]]
    copies += some(1, "x", group="g") + some(5, "y", group="g")
    parts = parts_of(samples + copies)
    contents = [{sample.content for sample in part} for part in parts.values()]
    assert sum(map(len, contents)) == len(set().union(*contents)) == 66


def test_a_group_in_two_given_splits_is_refused() -> None:
    samples = some(5, "x", group="p1", split="train") + some(5, "y", group="p1", split="test")
    with pytest.raises(DataError, match="the group 'p1' is in train and in test"):
        split_rows(samples)


def test_a_class_with_too_few_samples_is_named() -> None:
    with pytest.raises(DataError, match=r"'b' has 1 distinct sample to divide between train and validation and test"):
        split_rows(some(10, "a") + some(1, "b"))
    with pytest.raises(DataError, match=r"'b' has 1 distinct sample to"):
        split_rows(some(10, "a") + some(1, "b") * 5)
    test = [Sample(label, label, split="test") for label in "ab"]
    with pytest.raises(DataError, match=r"'b' has 1 distinct sample to divide between train and validation;"):
        split_rows([*some(10, "a"), *some(1, "b"), *test])


def test_a_class_that_is_never_trained_is_named() -> None:
    test = [Sample("c", "c", split="test")]
    with pytest.raises(DataError, match=r"'c' has no sample in train, only in test"):
        split_rows(some(10, "a") + some(10, "b") + test)
    everything = [Sample("c", "c0", group=speaker) for speaker in "a"]
    crossing = [sample for speaker in "abcd" for label in "xy" for sample in some(2, label, group=speaker)]
    with pytest.raises(DataError, match=r"'c' has no sample in (train|test|validation), only in "):
        split_rows(crossing + everything)


def test_a_smaller_number_keeps_the_shares_and_one_of_each() -> None:
    targets = np.repeat([0, 1, 2], [700, 290, 10])
    for count, expected in ((100, (70, 29, 1)), (3, (1, 1, 1)), (11, (7, 3, 1)), (999, (699, 290, 10))):
        rows = choose(targets, count)
        assert len(set(rows.tolist())) == count
        assert (np.diff(rows) > 0).all()
        np.testing.assert_allclose(np.bincount(targets[rows]), expected, atol=1)
        assert len(rows) == count
    assert choose(targets, 5_000).tolist() == list(range(1_000))
    with pytest.raises(OptionError, match="max_samples or validation_samples is 2, but there are 3 classes"):
        choose(targets, 2)


def test_the_digest_sees_values_shape_and_type() -> None:
    arrays = [
        np.zeros((2, 3), np.uint8),
        np.zeros((3, 2), np.uint8),
        np.zeros((2, 3), np.int8),
        np.ones((2, 3), np.uint8),
    ]
    assert len({content_digest(array) for array in arrays}) == 4
    assert content_digest(np.arange(6).reshape(2, 3).T) == content_digest(np.array([[0, 3], [1, 4], [2, 5]]))
