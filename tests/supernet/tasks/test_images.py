"""The task images: folders, archives and arrays become the same task; bad data is named before anything else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from supernet.errors import DataError, OptionError
from supernet.tasks import images
from tests.supernet.tasks.pictures import pixels, png, write_archive, write_folder

if TYPE_CHECKING:
    from supernet.tasks.task import Split, Task


def by_class(count: int = 10, channels: int = 3) -> dict[str, bytes]:
    return {
        f"{name}/{i}.png": png(100 * label + i, channels=channels)
        for label, name in enumerate(("cat", "dog", "emu"))
        for i in range(count)
    }


def splits_of(task: Task) -> tuple[Split, Split, Split]:
    return task.train, task.validation, task.test


def sizes(task: Task) -> list[int]:
    return [len(split) for split in splits_of(task)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "photographs", by_class())


def test_a_folder_of_classes_becomes_a_task(folder: Path) -> None:
    task = images.load(data=folder)
    assert (task.name, task.kind, task.classes, task.class_names) == ("images", "image", 3, ("cat", "dog", "emu"))
    assert (sizes(task), task.input_shape) == ([18, 6, 6], (3, 6, 6))
    for split in splits_of(task):
        assert split.inputs.dtype == torch.uint8
        assert torch.bincount(split.targets).tolist() == [len(split) // 3] * 3
    known = {pixels(100 * label + i).transpose(2, 0, 1).tobytes(): label for label in range(3) for i in range(10)}
    found = [
        known.pop(image.numpy().tobytes()) == target
        for split in splits_of(task)
        for image, target in zip(split.inputs, split.targets.tolist(), strict=True)
    ]
    assert all(found)
    assert known == {}


def test_a_network_reads_numbers_between_one_and_minus_one(folder: Path) -> None:
    task = images.load(data=folder)
    kept, read = task.train.inputs, task.train.read(slice(None))[0]
    torch.testing.assert_close(read, kept.float() / 127.5 - 1)
    assert images.to_unit_range(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    assert task.augment(read, torch.Generator().manual_seed(0)).shape == read.shape


def test_folder_archive_and_arrays_are_the_same_task(folder: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar.gz", {f"wrapped/{name}": content for name, content in by_class().items()})
    x = np.stack([pixels(100 * label + i) for label in range(3) for i in range(10)])
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(30) // 10)
    expected = images.load(data=folder).checksum()
    assert images.load(data=archive).checksum() == expected
    assert images.load(data=tmp_path / "x.npz").checksum() == expected
    assert images.load(data=tmp_path / "x.npz").class_names == ("0", "1", "2")


def test_given_splits_and_names_with_classes(tmp_path: Path) -> None:
    files = {f"mnist/{split}/{i % 3}_{i:06}.png": png(i + offset, channels=1) for split, offset, count in
             (("train", 0, 60), ("test", 500, 30)) for i in range(count)}  # fmt: skip
    task = images.load(data=write_archive(tmp_path / "x.tar.gz", files), pattern="{label}_{number}")
    assert (task.class_names, sizes(task), task.input_shape) == (("0", "1", "2"), [51, 9, 30], (1, 6, 6))
    test = {image.numpy().tobytes() for image in task.test.inputs}
    assert test == {pixels(i + 500, channels=1).tobytes() for i in range(30)}


def test_no_image_is_in_two_splits_not_even_as_a_copy(folder: Path) -> None:
    for i in range(10):
        write_folder(folder, {f"cat/copy{i}.png": png(i), f"dog/wrong{i}.png": png(200 + i)})
    task = images.load(data=folder)
    parts = [{image.numpy().tobytes() for image in split.inputs} for split in splits_of(task)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30
    given = {f"{split}/{name}": content for split in ("train", "test") for name, content in by_class().items()}
    given |= {f"train/{name}/own{i}.png": png(900 + i) for i, name in enumerate(("cat", "dog", "emu") * 4)}
    task = images.load(data=write_folder(folder.parent / "given", given))
    assert (sizes(task), task.facts) == ([9, 3, 30], {"copies_left_out": 30})


def test_groups_are_given_to_splits_as_asked(tmp_path: Path) -> None:
    files = {f"{label}/p{patient}_{i}.png": png(100 * patient + 10 * i + label) for label in range(2)
             for patient in range(6) for i in range(3)}  # fmt: skip
    data = write_folder(tmp_path / "x", files)
    task = images.load(data=data, pattern="{label}/{group}_{slice}", test_groups=["p0", "p1"])
    assert sizes(task) == [18, 6, 12]
    test = {image.numpy().tobytes() for image in task.test.inputs}
    assert pixels(100).transpose(2, 0, 1).tobytes() in test


def test_what_is_kept_is_told_apart_by_every_option_that_decides_a_split(tmp_path: Path) -> None:
    files = {f"{label}/p{group}_{i}.png": png(100 * group + 10 * i + label) for label in range(2)
             for group in range(6) for i in range(3)}  # fmt: skip
    data = write_folder(tmp_path / "x", files)
    options: list[dict[str, Any]] = [
        {},
        {"pattern": "{label}/{group}_{slice}"},
        {"pattern": "{label}/{group}_{slice}", "test_groups": ["p3"]},
        {"pattern": "{label}/{group}_{slice}", "validation_groups": ["p3"]},
    ]
    kept = [images.load(data=data, cache=tmp_path / "cache", **chosen).checksum() for chosen in options]
    assert kept == [images.load(data=data, **chosen).checksum() for chosen in options]
    assert len(set(kept)) == len(options)


def test_images_can_be_brought_to_one_form(tmp_path: Path) -> None:
    files = {f"{label}/{i}.png": png(10 * label + i, side=6 + i % 2, channels=1 + 2 * (i % 3 == 0))
             for label in range(2) for i in range(6)}  # fmt: skip
    data = write_folder(tmp_path / "x", files)
    with pytest.raises(DataError, match=r"0/0\.png is coloured and 0/1\.png grey; set `channels`"):
        images.load(data=data)
    with pytest.raises(DataError, match=r"0/0\.png has 6 x 6 pixels and 0/1\.png 7 x 7; set `image_size`"):
        images.load(data=data, channels=1)
    assert images.load(data=data, channels=3, image_size=5).input_shape == (3, 5, 5)


def test_a_smaller_study_keeps_the_shares(folder: Path) -> None:
    full, small = images.load(data=folder), images.load(data=folder, max_samples=5)
    assert sizes(small) == [5, 5, 5]
    for part, whole in zip(splits_of(small), splits_of(full), strict=True):
        assert min(torch.bincount(part.targets, minlength=3).tolist()) >= 1
        everything = {image.numpy().tobytes() for image in whole.inputs}
        assert all(image.numpy().tobytes() in everything for image in part.inputs)


def test_images_are_decoded_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first = images.load(data=folder, cache=cache)
    assert first.checksum() == images.load(data=folder).checksum()

    def decode(*_: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patched:
        patched.setattr(images, "decode_image", decode)
        again = images.load(data=folder, cache=cache)
        assert (again.checksum(), again.class_names, again.facts) == (first.checksum(), first.class_names, first.facts)
        assert images.load(data=folder, cache=cache, max_samples=4, augment="none").train.inputs.shape[0] == 4
        with pytest.raises(AssertionError, match="again"):
            images.load(data=folder, cache=cache, image_size=4)
    write_folder(folder, {"cat/new.png": png(777)})
    assert sum(sizes(images.load(data=folder, cache=cache))) == 31


def test_arrays_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.stack([pixels(i) for i in range(20)])
    np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(20) % 2)
    first = images.load(data=tmp_path / "x.npz", cache=tmp_path / "cache").checksum()
    monkeypatch.setattr(images, "read_npz", None)
    assert images.load(data=tmp_path / "x.npz", cache=tmp_path / "cache").checksum() == first


def test_a_task_travels_to_another_process(folder: Path, tmp_path: Path) -> None:
    task = images.load(data=folder, cache=tmp_path / "cache")
    assert pickle.loads(pickle.dumps(task)).checksum() == task.checksum()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no file that ends in"),
        ({"cat/notes.txt": b"x"}, "holds no file that ends in"),
        ({"cat/1.png": png(1), "cat/2.png": png(2)}, "all files lie in one folder"),
        ({"cat/1.png": png(1), "dog/2.png": b"broken"}, r"the image dog/2\.png cannot be read"),
        (by_class() | {"yak/1.png": png(1_000)}, "the class 'yak' has 1 distinct sample to divide between train and"),
        (by_class() | {"lost.png": png(1_000)}, r"lost\.png lies in no folder of a class"),
    ],
)
def test_bad_folders_are_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match=message):
        images.load(data=write_folder(tmp_path / "x", files), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_arrays_of_one_class_or_of_two_forms_are_named(tmp_path: Path) -> None:
    x = np.stack([pixels(i) for i in range(20)])
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(20, int))
    with pytest.raises(DataError, match=r"x\.npz have the label 0; a classifier needs two"):
        images.load(data=tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x[:, :4], y_test=np.arange(20) % 2)
    with pytest.raises(DataError, match=r"holds images of \(3, 6, 6\) and of \(3, 4, 6\)"):
        images.load(data=tmp_path / "x.npz")


@pytest.mark.parametrize("options", [{"pattern": "{label}_{group}"}, {"test_groups": ["p1"]}])
def test_arrays_have_no_names_to_read_groups_from(tmp_path: Path, options: dict[str, Any]) -> None:
    x = np.zeros((20, 4, 4), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(20) % 2)
    with pytest.raises(OptionError, match="holds arrays, which have no names"):
        images.load(data=tmp_path / "x.npz", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size must be a whole number of at least 1"),
        ({"image_size": "28"}, "image_size must be"),
        ({"channels": 2}, "channels must be 1, grey, or 3, red"),
        ({"channels": "3"}, "channels must be a whole number"),
        ({"max_samples": 1}, "max_samples must be a whole number of at least 2"),
        ({"max_samples": 2}, "max_samples or validation_samples is 2, but there are 3 classes"),
        ({"augment": "twist"}, "augment must be one of none, shift, shift_and_flip; got 'twist'"),
        ({"pattern": "{class}"}, "has the fields class; write for example"),
        ({"test_groups": [1]}, r"no \{group\} is in the pattern"),
        ({"test_groups": "p1"}, "test_groups must be a list"),
    ],
)
def test_options_that_cannot_be_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        images.load(data=folder, **options)
