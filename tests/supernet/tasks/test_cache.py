"""Kept data: made once, the same when read again, and made anew where anything is missing or damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from supernet.errors import DataError
from supernet.tasks.cache import MANIFEST, Decoded, fingerprint, keep

if TYPE_CHECKING:
    from multiprocessing.queues import Queue


class Maker:
    """Makes the same data each time and counts how often."""

    def __init__(self, size: int = 12) -> None:
        self.calls = 0
        self.size = size

    def __call__(self) -> Decoded:
        self.calls += 1
        images = np.arange(self.size, dtype=np.uint8).reshape(-1, 2)
        return Decoded({"images": images, "labels": np.arange(3)}, {"names": ("a", "b"), "counts": {"a": 1}})


def entry_of(cache: Path) -> Path:
    """The one entry; nothing else may have been left in the folder."""
    (entry,) = cache.iterdir()
    return entry


def check(found: Decoded) -> None:
    expected = Maker()()
    assert set(found.arrays) == set(expected.arrays)
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(array, expected.arrays[name])
        assert array.dtype == expected.arrays[name].dtype
    assert found.metadata == {"names": ["a", "b"], "counts": {"a": 1}}


def test_without_a_folder_everything_is_made_each_time() -> None:
    make = Maker()
    for _ in range(2):
        check(keep(make, cache=None, name="toys", key={}))
    assert make.calls == 2


def test_it_is_made_once_and_mapped_from_then_on(tmp_path: Path) -> None:
    make = Maker()
    cache = tmp_path / "not" / "there"
    for _ in range(3):
        found = keep(make, cache=cache, name="toys", key={"size": 12})
        check(found)
        assert all(isinstance(array, np.memmap) for array in found.arrays.values())
    assert make.calls == 1
    assert entry_of(cache).name.startswith("toys-")


@pytest.mark.parametrize("other", [{"name": "others"}, {"key": {"size": 13}}, {"key": {"size": 12, "more": None}}])
def test_another_name_or_key_is_another_entry(tmp_path: Path, other: dict[str, object]) -> None:
    make = Maker()
    usual = {"name": "toys", "key": {"size": 12}}
    keep(make, cache=tmp_path, **usual)  # type: ignore[arg-type]
    keep(make, cache=tmp_path, **(usual | other))  # type: ignore[arg-type]
    assert make.calls == len(list(tmp_path.iterdir())) == 2


def test_writing_to_what_was_read_changes_nothing_for_others(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        found = keep(make, cache=tmp_path, name="toys", key={})
        check(found)
        found.arrays["images"][:] = 7
    assert make.calls == 1


def test_arrays_of_no_length_and_no_axis_are_kept_too(tmp_path: Path) -> None:
    for _ in range(2):
        made = Decoded({"none": np.zeros((0, 3)), "one": np.array(5)})
        found = keep(lambda made=made: made, cache=tmp_path, name="toys", key={})  # type: ignore[misc]
        assert found.arrays["none"].shape == (0, 3)
        assert int(found.arrays["one"]) == 5


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def _rename_class(path: Path) -> None:
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"metadata": {"names": ["x", "b"], "counts": {"a": 1}}}))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("images.npy", Path.unlink),
        ("images.npy", _cut),
        ("images.npy", _flip),
        ("labels.npy", lambda path: path.write_bytes(b"")),
        (MANIFEST, Path.unlink),
        (MANIFEST, _cut),
        (MANIFEST, _rename_class),
        (MANIFEST, lambda path: path.write_text("[]")),
    ],
)
def test_damage_is_noticed_and_repaired(tmp_path: Path, file: str, damage: object) -> None:
    assert callable(damage)
    make = Maker()
    keep(make, cache=tmp_path, name="toys", key={})
    damage(entry_of(tmp_path) / file)
    check(keep(make, cache=tmp_path, name="toys", key={}))
    check(keep(make, cache=tmp_path, name="toys", key={}))
    assert make.calls == 2
    assert sorted(path.name for path in entry_of(tmp_path).iterdir()) == ["images.npy", "labels.npy", MANIFEST]


def test_what_was_mapped_outlives_the_folder(tmp_path: Path) -> None:
    found = keep(Maker(), cache=tmp_path, name="toys", key={})
    (entry_of(tmp_path) / "images.npy").unlink()
    keep(Maker(), cache=tmp_path, name="toys", key={})
    check(found)


def test_nothing_is_kept_of_a_failure(tmp_path: Path) -> None:
    def fail() -> Decoded:
        raise DataError("corrupt")

    with pytest.raises(DataError, match="corrupt"):
        keep(fail, cache=tmp_path, name="toys", key={})
    with pytest.raises(ValueError, match="Object arrays"):
        keep(lambda: Decoded({"x": np.array([None])}), cache=tmp_path, name="toys", key={})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be kept in .*file.*Make the folder writable"):
        keep(Maker(), cache=tmp_path / "file", name="toys", key={})


def test_folders_of_dead_processes_go_those_of_living_ones_stay(tmp_path: Path) -> None:
    old, new = tmp_path / ".toys-1.abc.tmp", tmp_path / ".toys-2.abc.tmp"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    keep(Maker(), cache=tmp_path, name="toys", key={})
    assert not old.exists()
    assert new.exists()


def test_whoever_finishes_second_takes_the_first_ones_entry(tmp_path: Path) -> None:
    """The other process finishes while this one still decodes."""

    def slow() -> Decoded:
        keep(Maker(), cache=tmp_path, name="toys", key={})
        (entry_of(tmp_path) / MANIFEST).touch()
        return Maker()()

    check(keep(slow, cache=tmp_path, name="toys", key={}))
    make = Maker()
    check(keep(make, cache=tmp_path, name="toys", key={}))
    assert make.calls == 0


def _work(cache: Path, results: Queue[bool]) -> None:
    for round_ in range(20):
        found = keep(Maker(), cache=cache, name="toys", key={"round": round_})
        check(found)
        for file in cache.glob("toys-*/labels.npy"):  # damages what others are about to read
            file.unlink(missing_ok=True)
    results.put(True)


def test_processes_that_make_and_break_the_same_entries_all_read_the_right_data(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: Queue[bool] = context.Queue()
    workers = [context.Process(target=_work, args=(tmp_path, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_the_fingerprint_sees_names_sizes_and_times(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    files = [folder / "a.txt", folder / "b.txt"]
    for file in files:
        file.write_text("text")
        os.utime(file, ns=(1, 1))
    first = fingerprint(folder, files)
    assert fingerprint(folder, files[::-1]) == first
    moved = folder.rename(tmp_path / "elsewhere").rename(folder)
    assert fingerprint(moved, files) == first
    seen = {first, fingerprint(folder, files[:1])}
    os.utime(files[0], ns=(1, 2))
    seen.add(fingerprint(folder, files))
    files[0].write_text("longer text")
    os.utime(files[0], ns=(1, 1))
    seen.add(fingerprint(folder, files))
    files[0].rename(folder / "c.txt")
    seen.add(fingerprint(folder, [folder / "c.txt", files[1]]))
    assert len(seen) == 5


def test_folders_that_look_alike_are_told_apart_by_where_they_lie(tmp_path: Path) -> None:
    sources = []
    for parent in ("first", "second"):
        file = tmp_path / parent / "data" / "a.wav"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"same size")
        os.utime(file, (0, 0))
        sources.append(fingerprint(file.parent, [file]))
    assert sources[0] != sources[1]
