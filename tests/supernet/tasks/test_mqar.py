"""Recall: pairs, repeated keys, answers, gaps by the power law, and splits that share nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from scipy.stats import chisquare

from supernet.errors import OptionError
from supernet.tasks import mqar
from supernet.tasks.task import UNLABELLED

if TYPE_CHECKING:
    from supernet.tasks.task import Split, Task

GOLDEN = "d12fcaf6d238ebfec42eaa549ef70a6c6670bd309bd3eeba228fcc07171e6db6"
FALSE_FAILURE = 1e-6  # of each statistical test, over the choice of the seed; the seed is fixed


@pytest.fixture(scope="module")
def task() -> Task:
    return mqar.load(train=20_000)


def sequences(split: Split) -> set[bytes]:
    return {row.numpy().tobytes() for row in split.inputs}


def test_what_a_network_reads(task: Task) -> None:
    assert (task.kind, task.vocabulary, task.classes, task.per_position) == ("tokens", 256, 256, True)
    assert task.input_shape == (64,)
    assert task.example(2).dtype == torch.int64
    assert task.main_metric == "error"
    assert (len(task.train), len(task.validation), len(task.test)) == (20_000, 500, 500)


@pytest.mark.parametrize("noise", [True, False])
@pytest.mark.parametrize(("vocabulary", "length", "pairs"), [(256, 64, 8), (20, 13, 3), (12, 20, 5)])
def test_each_key_is_repeated_once_and_answered_with_the_value_that_followed_it(
    noise: bool, vocabulary: int, length: int, pairs: int
) -> None:
    split = mqar.load(vocabulary=vocabulary, length=length, pairs=pairs, noise=noise, train=200).train
    for tokens, targets in zip(split.inputs.tolist(), split.targets.tolist(), strict=True):
        values = dict(zip(tokens[0 : 2 * pairs : 2], tokens[1 : 2 * pairs : 2], strict=True))
        assert len(values) == len(set(values.values())) == pairs
        assert all(1 <= key < vocabulary // 2 <= value < vocabulary for key, value in values.items())
        asked = [position for position, target in enumerate(targets) if target != UNLABELLED]
        assert sorted(tokens[position] for position in asked) == sorted(values)
        assert all(targets[position] == values[tokens[position]] for position in asked)
        assert all(position >= 2 * pairs and position % 2 == 0 for position in asked)
        rest = [tokens[position] for position in range(2 * pairs, length) if position not in asked]
        assert all(0 <= token < vocabulary for token in rest)
        assert noise or not any(rest)


def test_noise_comes_from_the_whole_vocabulary(task: Task) -> None:
    behind = task.train.inputs[:, 16:][task.train.targets[:, 16:] == UNLABELLED]
    assert chisquare(torch.bincount(behind, minlength=256).numpy()).pvalue > FALSE_FAILURE


def test_keys_values_and_their_order_are_uniform(task: Task) -> None:
    for position, first, count in ((0, 1, 127), (14, 1, 127), (1, 128, 128), (15, 128, 128)):
        found = torch.bincount(task.train.inputs[:, position] - first, minlength=count)
        assert len(found) == count
        assert chisquare(found.numpy()).pvalue > FALSE_FAILURE


@pytest.mark.parametrize("power", [0.01, 1.0, 2.0])
def test_gaps_follow_the_power_law(power: float) -> None:
    """Of the first key exactly, of the second as drawn among the slots that the first left."""
    split = mqar.load(power=power, noise=False, length=32, pairs=4, train=20_000).train
    slots = 12
    weights = torch.arange(1, slots + 1, dtype=torch.float64) ** (power - 1)
    first = weights / weights.sum()
    second = torch.stack([first / (1 - first[taken]) * (torch.arange(slots) != taken) for taken in range(slots)])
    for pair, expected in ((0, first), (1, first @ second)):
        at = (split.inputs[:, 8:] == split.inputs[:, 2 * pair, None]).int().argmax(1) // 2
        found = torch.bincount(at, minlength=slots)
        assert chisquare(found.numpy(), (expected * len(split)).numpy()).pvalue > FALSE_FAILURE


def test_no_sequence_is_in_two_splits(task: Task) -> None:
    parts = [sequences(split) for split in (task.train, task.validation, task.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 21_000


def test_where_sequences_repeat_the_splits_still_share_none() -> None:
    """Keys 1 to 3, values 4 to 7, two slots: 24 sequences, of which 20 held out do not all differ."""
    task = mqar.load(vocabulary=8, length=6, pairs=1, noise=False, train=300, validation=5, test=5)
    parts = [sequences(split) for split in (task.train, task.validation, task.test)]
    assert len(parts[0]) > 10
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_splits_do_not_share_a_sequence_up_to_its_noise() -> None:
    task = mqar.load(vocabulary=8, length=6, pairs=1, train=300, validation=5, test=5)
    parts = []
    for split in (task.train, task.validation, task.test):
        rows = zip(split.inputs.tolist(), (split.targets != UNLABELLED).int().argmax(1).tolist(), strict=True)
        parts.append({(*tokens[:2], position) for tokens, position in rows})
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_data_depend_on_the_seed_alone() -> None:
    golden = mqar.load(train=100, validation=10, test=10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert mqar.load(train=100, validation=10, test=10).checksum() == golden.checksum() == GOLDEN
    other = mqar.load(train=100, validation=10, test=10, seed=1)
    assert not sequences(other.train) & sequences(golden.train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 17}, r"17 pairs need a length of at least 68.*got length 64"),
        ({"vocabulary": 16}, r"a vocabulary of 16 has 7 keys, too few for 8 pairs"),
        ({"pairs": 0}, r"pairs must be a whole number of at least 1; got 0"),
        ({"pairs": "8"}, r"pairs must be a whole number of at least 1; got '8'"),
        ({"length": 64.0}, r"length must be a whole number"),
        ({"train": True}, r"train must be a whole number of at least 1; got True"),
        ({"test": 0}, r"test must be"),
        ({"power": 0}, r"power must be a number above 0; got 0"),
        ({"power": float("nan")}, r"power must be a number above 0; got nan"),
        ({"noise": "no"}, r"noise must be true or false; got 'no'"),
        ({"seed": -1}, r"seed must be a whole number of at least 0"),
        ({"vocabulary": 10**6}, r"vocabulary must be .* at least 4 and at most 65,536; got 1000000"),
        ({"train": 10**7}, r"10,000,000 samples of length 64 are 640,000,000 values, more than"),
        ({"vocabulary": 4, "length": 4, "pairs": 1}, r"allow too few different sequences"),
    ],
)
def test_what_cannot_be_generated_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^mqar: .*{message}"):
        mqar.load(**options)  # type: ignore[arg-type]
