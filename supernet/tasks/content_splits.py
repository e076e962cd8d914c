"""Which samples train, validate and test, so that nothing leaks from one split to another.

Three rules.  Samples of equal content never stand in two splits.  Samples of one group (a speaker, a patient, a take)
never stand in two splits.  Who goes where depends on content and groups alone: not on file order, and not on a seed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import DataError, OptionError
from supernet.tasks.file_labels import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SHARE = 0.15  # of the samples not given to a split, for each of validation and test that was not given
STRONGEST = ("test", "validation", "train")  # which split keeps content that was given to several


@dataclass(frozen=True)
class Sample:
    """What decides where one sample goes.  `split` is None where it was not given to one."""

    label: str
    content: str  # a digest: equal content, equal digest
    group: str | None = None
    split: str | None = None


def content_digest(array: NDArray[Any]) -> str:
    """A digest of an array's shape and values."""
    digest = hashlib.blake2b(repr((array.shape, array.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def split_rows(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """The rows of each split, in the order of their digests, which mixes the classes.

    Samples that were given to a split stay there; from the others, and from those given to `train`, validation and
    test are taken where they were not given: by whole groups where there are groups, else the same share of each
    class.  A copy of something in a stronger split (test, then validation) or in another group is left out.

    Raises `DataError` where a group was given to two splits, or where a split would lack a class of the training.
    """
    _check_groups(samples)
    rows = _without_copies(samples)
    splits: dict[str, list[int]] = {name: [] for name in SPLITS}
    for row in rows:
        splits[samples[row].split or "train"].append(row)
    needed = [name for name in ("test", "validation") if not splits[name]]
    classes_of: dict[str, set[str]] = defaultdict(set)
    for row in splits["train"]:
        if samples[row].group is not None:
            classes_of[str(samples[row].group)].add(samples[row].label)
    if any(len(classes) > 1 for classes in classes_of.values()):
        _take_groups(splits, samples, needed)
    else:
        _take_shares(splits, samples, needed, grouped=bool(classes_of))
    _check_classes(splits, samples, needed)
    return splits


def choose(targets: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Rows of `count` samples, in order, with the classes in the same shares as in `targets`, one of each at least.

    Raises `OptionError` where there are more classes than that.
    """
    classes, frequencies = np.unique(targets, return_counts=True)
    if count < len(classes):
        raise OptionError(
            f"max_samples or validation_samples is {count}, but there are {len(classes)} classes; allow one of each "
            "at least."
        )
    if count >= len(targets):
        return np.arange(len(targets))
    # One each, the rest by shares, what rounding leaves over to the largest remainders.
    exact = (count - len(classes)) * (frequencies - 1) / (len(targets) - len(classes))
    quotas = 1 + np.floor(exact).astype(np.int64)
    left = count - int(quotas.sum())
    quotas[np.argsort(-(exact % 1), kind="stable")[:left]] += 1
    chosen = [np.flatnonzero(targets == name)[:quota] for name, quota in zip(classes, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def _check_groups(samples: Sequence[Sample]) -> None:
    given: dict[str, str] = {}
    for sample in samples:
        if sample.group is not None:
            split = sample.split or "train"
            first = given.setdefault(sample.group, split)
            if first != split:
                raise DataError(
                    f"the group {sample.group!r} is in {first} and in {split}; what belongs together must be in one."
                )


def _without_copies(samples: Sequence[Sample]) -> list[int]:
    """Rows in the order of their digests; of equal content, only those of its strongest split and its first group."""

    def rank(row: int) -> tuple[int, str]:
        return STRONGEST.index(samples[row].split or "train"), samples[row].group or ""

    best: dict[str, tuple[int, str]] = {}
    for row, sample in enumerate(samples):
        best[sample.content] = min(best.get(sample.content, rank(row)), rank(row))
    rows = sorted(range(len(samples)), key=lambda row: (samples[row].content, samples[row].label))
    return [row for row in rows if rank(row) == best[samples[row].content]]


def _take_shares(splits: dict[str, list[int]], samples: Sequence[Sample], needed: list[str], *, grouped: bool) -> None:
    """Move the same share of each class from `train` to each split in `needed`: distinct contents, or whole groups.

    Copies move together, under the class of the first of them.
    """

    def unit(row: int) -> str:
        return str(samples[row].group) if grouped else samples[row].content

    classes: dict[str, list[str]] = defaultdict(list)
    for name, label in {unit(row): samples[row].label for row in reversed(splits["train"])}.items():
        classes[label].append(name)
    destination: dict[str, str] = {}
    for label, units in classes.items():
        if len(units) < 1 + len(needed):
            what = "group" if grouped else "distinct sample"
            raise DataError(
                f"the class {label!r} has {len(units)} {what}{'' if len(units) == 1 else 's'} to divide between train "
                f"and {' and '.join(reversed(needed))}; each needs one at least, so add some, or leave the class out."
            )
        units.sort(key=_order)
        share = max(1, round(len(units) * SHARE))
        for i, split in enumerate(needed):
            destination |= dict.fromkeys(units[i * share : (i + 1) * share], split)
    _move(splits, lambda row: destination.get(unit(row), "train"))


def _take_groups(splits: dict[str, list[int]], samples: Sequence[Sample], needed: list[str]) -> None:
    """Move whole groups, each with samples of many classes, from `train` to each split in `needed` up to its share."""
    sizes: dict[str, int] = defaultdict(int)
    for row in splits["train"]:
        sizes[str(samples[row].group)] += 1
    if len(sizes) < 1 + len(needed):
        raise DataError(
            f"there {'is one group' if len(sizes) == 1 else 'are two groups'} ({', '.join(sorted(sizes))}) to divide "
            f"between train and {' and '.join(reversed(needed))}, and a group stays whole; give more of them, or a "
            "pattern without {group}."
        )
    order = sorted(sizes, key=_order)
    wanted = SHARE * len(splits["train"])
    destination: dict[str, str] = {}
    for i, split in enumerate(needed):
        taken = 0
        still_needed = len(needed) - i  # groups that must be left: one for train, one for each later split
        while taken == 0 or (taken + sizes[order[0]] / 2 <= wanted and len(order) > still_needed):
            group = order.pop(0)
            destination[group] = split
            taken += sizes[group]
    _move(splits, lambda row: destination.get(str(samples[row].group), "train"))


def _order(name: str) -> bytes:
    """Sorts names in an order that has nothing to do with them."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _move(splits: dict[str, list[int]], destination: Callable[[int], str]) -> None:
    pool, splits["train"] = splits["train"], []
    for row in pool:
        splits[destination(row)].append(row)


def _check_classes(splits: dict[str, list[int]], samples: Sequence[Sample], needed: list[str]) -> None:
    """Every class must be learnt; and a split that we cut must show all of them."""
    classes = {name: {samples[row].label for row in rows} for name, rows in splits.items()}
    every = set().union(*classes.values())
    for name in ("train", *needed):
        missing = sorted(every - classes[name])
        if missing:
            where = {other: names for other, names in classes.items() if missing[0] in names}
            raise DataError(
                f"the class {missing[0]!r} has no sample in {name}, only in {' and '.join(where)} (copies of a sample "
                "count once, and groups stay whole); add samples, divide them otherwise, or leave the class out."
            )
