"""The task of the LSTM tagger: tags of characters, against what is written here."""

from __future__ import annotations

import pytest
import torch

from examples.own_models import lstm_tagger
from supernet.errors import DataError

SOURCE = 'def f(x):  # two\n    return x + 0x1f, "a\\n"\n'


def test_the_tag_of_each_character() -> None:
    short = {"o": "other", "k": "keyword", "n": "name", "0": "number", "s": "string", "c": "comment"}
    wanted = "kkk" + "onon" + "oooo" + "ccccc" + "o" + "oooo" + "kkkkkk" + "onooo" + "0000" + "oo" + "sssss" + "o"
    assert len(wanted) == len(SOURCE)
    assert [lstm_tagger.TAGS[tag] for tag in lstm_tagger.tags_of(SOURCE)] == [short[one] for one in wanted]


def test_windows_do_not_overlap_and_keep_their_tags() -> None:
    split = lstm_tagger.windows([SOURCE], 10)
    assert split.inputs.shape == split.targets.shape == (len(SOURCE) // 10, 10)
    assert bytes(split.inputs.flatten().tolist()).decode() == SOURCE[: len(SOURCE) // 10 * 10]
    assert split.targets.flatten().tolist() == lstm_tagger.tags_of(SOURCE)[: len(SOURCE) // 10 * 10]


def test_whole_files_are_held_out_and_every_tag_occurs() -> None:
    task = lstm_tagger.load(length=32, max_bytes=60_000)
    assert (task.kind, task.per_position, task.input_shape) == ("tokens", True, (32,))
    assert set(task.train.targets.unique().tolist()) == set(range(task.classes))
    assert int(task.train.inputs.max()) < 128
    rows = [{tuple(row) for row in split.inputs.tolist()} for split in (task.train, task.validation, task.test)]
    assert all(rows)
    assert torch.equal(task.train.inputs, lstm_tagger.load(length=32, max_bytes=60_000).train.inputs)


def test_too_few_files_are_refused() -> None:
    with pytest.raises(DataError, match="max_bytes"):
        lstm_tagger.load(max_bytes=2_000)
