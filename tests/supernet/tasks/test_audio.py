"""The task audio: recordings from folders and names become log-mel features; bad data is named before anything else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from supernet.errors import DataError, OptionError
from supernet.tasks import audio
from supernet.tasks.error_rates import equal_error_rate
from supernet.tasks.log_mel import LogMel
from supernet.tasks.task import score_logits
from supernet.tasks.wav_files import decode_wav
from tests.supernet.tasks.pictures import write_archive, write_folder
from tests.supernet.tasks.waves import pack, wav

if TYPE_CHECKING:
    from supernet.tasks.task import Split, Task

SECONDS = 0.1


def by_class(count: int = 10) -> dict[str, bytes]:
    return {
        f"{word}/{i}.wav": wav(hertz=200 + 300 * label + 10 * i, seconds=SECONDS)
        for label, word in enumerate(("no", "yes"))
        for i in range(count)
    }


def spoken(speakers: int = 5, takes: int = 8) -> dict[str, bytes]:
    """Named as the Free Spoken Digit Dataset names them."""
    return {
        f"recordings/{digit}_s{speaker}_{take}.wav": wav(hertz=300 + 400 * digit + 20 * speaker + take, seconds=SECONDS)
        for digit in range(3)
        for speaker in range(speakers)
        for take in range(takes)
    }


def load(data: Path, **options: Any) -> Task:
    return audio.load(data=data, **({"seconds": SECONDS, "features": 20} | options))


def splits_of(task: Task) -> tuple[Split, Split, Split]:
    return task.train, task.validation, task.test


def sizes(task: Task) -> list[int]:
    return [len(split) for split in splits_of(task)]


def contents(split: Split) -> set[bytes]:
    return {features.numpy().tobytes() for features in split.inputs}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "words", by_class())


def test_a_folder_of_words_becomes_a_task(folder: Path) -> None:
    task = load(folder)
    assert (task.name, task.kind, task.classes, task.class_names) == ("audio", "audio", 2, ("no", "yes"))
    assert (sizes(task), task.input_shape) == ([12, 4, 4], (20, 8))
    assert len(set.union(*map(contents, splits_of(task)))) == 20
    transform = LogMel(8_000, 20, SECONDS)
    recording = torch.from_numpy(decode_wav("x", by_class()["yes/3.wav"]).samples)
    assert transform(recording).numpy().tobytes() in set.union(*map(contents, splits_of(task)))


def test_an_archive_is_the_same_task(folder: Path, tmp_path: Path) -> None:
    assert load(write_archive(tmp_path / "x.tar.gz", by_class())).checksum() == load(folder).checksum()


def test_the_official_test_set_of_spoken_digits_are_takes(tmp_path: Path) -> None:
    data = write_archive(tmp_path / "x.tar.gz", spoken())
    task = load(data, pattern="{label}_{speaker}_{group}", test_groups=[0, 1])
    assert (sizes(task), task.class_names) == ([75, 15, 30], ("0", "1", "2"))
    expected = write_folder(tmp_path / "x", {name: content for name, content in spoken().items()
                                             if name.endswith(("_0.wav", "_1.wav", "_2.wav", "_3.wav"))})  # fmt: skip
    alone = load(expected, pattern="{label}_{speaker}_{group}", test_groups=["0", "1"])
    assert contents(alone.test) == contents(task.test)


def test_the_class_may_be_the_speaker_and_the_group_the_speaker_of_words(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "x", spoken())
    speakers = load(data, pattern="{digit}_{label}_{group}")
    assert (speakers.class_names, sizes(speakers)) == (("s0", "s1", "s2", "s3", "s4"), [90, 15, 15])
    words = load(data, pattern="{label}_{group}_{take}", test_groups=["s3"], cache=tmp_path / "cache")
    other = load(data, pattern="{label}_{group}_{take}", test_groups=["s4"], cache=tmp_path / "cache")
    assert other.checksum() != words.checksum()
    assert sizes(words) == [72, 24, 24]
    of_s3 = write_folder(tmp_path / "s3", {name: content for name, content in spoken().items() if "_s3_" in name})
    alone = load(of_s3, pattern="{label}_{speaker}_{take}")
    assert contents(words.test) == set.union(*map(contents, splits_of(alone)))


def test_no_recording_is_in_two_splits_not_even_under_another_name(folder: Path) -> None:
    copies = {f"yes/copy{i}.wav": wav(hertz=200 + 10 * i, seconds=SECONDS) for i in range(10)}
    task = load(write_folder(folder, copies))
    parts = [contents(split) for split in splits_of(task)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert sum(sizes(task)) == 30
    # Without what lies outside of the seconds that are looked at, two recordings may be one.
    around = {f"no/around{i}.wav": _padded(content) for i, content in enumerate(by_class().values())}
    task = load(write_folder(folder, around))
    parts = [contents(split) for split in splits_of(task)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20


def _padded(content: bytes) -> bytes:
    samples = np.round(decode_wav("x", content).samples * 2**15).astype(int)
    return pack(np.concatenate((np.full(50, 99), samples, np.full(50, -99))))


def test_what_is_measured(folder: Path) -> None:
    task = load(folder)
    assert list(task.metrics) == ["error", "accuracy", "loss", "eer"]
    assert task.metrics["eer"] == "minimize"
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 1, 0])
    assert task.measure(logits, targets) == score_logits(logits, targets) | {"eer": equal_error_rate(logits, targets)}


def test_recordings_are_decoded_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first = load(folder, cache=cache)
    assert first.checksum() == load(folder).checksum()
    with monkeypatch.context() as patched:
        patched.setattr(audio, "decode_wav", None)
        again = load(folder, cache=cache)
        assert (again.checksum(), again.class_names) == (first.checksum(), first.class_names)
        assert sizes(load(folder, cache=cache, max_samples=2, augment="none")) == [2, 2, 2]
        for other in ({"features": 10}, {"seconds": 0.2}, {"rate": 8_000}):
            with pytest.raises(TypeError):
                load(folder, cache=cache, **other)
    write_folder(folder, {"yes/new.wav": wav(hertz=1_234, seconds=SECONDS)})
    assert sum(sizes(load(folder, cache=cache))) == 21


def test_a_task_travels_to_another_process(folder: Path) -> None:
    task = load(folder)
    assert pickle.loads(pickle.dumps(task)).checksum() == task.checksum()


def test_recordings_of_another_rate_are_named_with_both_rates(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"no/0\.wav has 8000 samples a second, but rate is 16000; nothing is resampled"
    ):
        load(folder, rate=16_000)
    write_folder(folder, {"yes/other.wav": wav(rate=16_000, seconds=SECONDS)})
    with pytest.raises(DataError, match=r"yes/other\.wav has 16000 samples a second, but no/0\.wav 8000;.*Convert"):
        load(folder)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"holds no file that ends in \.wav"),
        ({"yes/1.wav": wav(), "yes/2.wav": wav(hertz=600)}, "all files lie in one folder"),
        ({"yes/1.wav": wav(), "no/2.wav": b"RIFF"}, r"the recording no/2\.wav cannot be read"),
        ({"yes/1.wav": wav(), "no/2.wav": wav(seconds=0)}, r"the recording no/2\.wav is empty"),
        ({"yes/1.wav": wav(), "no/2.wav": wav(channels=2)}, r"no/2\.wav has 2 channels"),
        (by_class() | {"maybe/1.wav": wav(hertz=999)}, "'maybe' has 1 distinct sample to divide"),
        (by_class() | {"maybe/1.wav": pack(np.zeros(90, int)), "maybe/2.wav": pack(np.zeros(90, int))}, "1 distinct"),
    ],
)
def test_bad_folders_are_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match=message):
        load(write_folder(tmp_path / "x", files), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "rate must be a whole number"),
        ({"seconds": 0}, "seconds must be a number above 0"),
        ({"seconds": 0.01}, r"seconds is 0\.01; 0\.025 are needed"),
        ({"features": 0}, "features must be"),
        ({"features": 700}, "700 features are too many for 8000 Hz"),
        ({"max_samples": 1}, "max_samples must be"),
        ({"augment": "noise"}, "augment must be one of none, shift, shift_and_mask; got 'noise'"),
        ({"pattern": "{digit}"}, "has the fields digit"),
        ({"validation_groups": "s1"}, "validation_groups must be a list"),
    ],
)
def test_options_that_cannot_be_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load(folder, **options)
