"""Every call that writes, on a disk that is full: it must be refused wholly, or happen, and can be repeated.

`python -m tests.runner.store.full_disk WAY PREPARED FOLDER` copies the record PREPARED into FOLDER for each call.
WAY says how the room ends: `limit` (no file of this process may become longer) or `disk` (FOLDER is a small
disk, which is filled up).  Writes the names of the calls that were refused to standard output.
"""

from __future__ import annotations

import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.store import StoreUnavailable, open_repository
from tests.runner.store.examples import an_evaluation
from tests.runner.store.writes import STUDY, WRITERS, contents, frozen


@contextmanager
def no_room(way: str, folder: Path) -> Iterator[None]:
    """Until the end of the block nothing grows."""
    if way == "limit":
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # SQLite's index of its log (-shm) has 32 KiB from the beginning; both other files are smaller or longer.
        resource.setrlimit(resource.RLIMIT_FSIZE, (min(each.stat().st_size for each in folder.iterdir()), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    else:
        ballast = folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            with ballast.open("ab", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x")
            yield
        finally:
            ballast.unlink()


def one_call(method: str, way: str, prepared: Path, folder: Path) -> bool:
    """Whether it was refused; in both cases the record must be whole."""
    path = folder / "record.sqlite3"
    shutil.copy(prepared, path)
    before = contents(path)
    with open_repository(path, now=frozen) as repository:
        study = repository.study(STUDY).id
        refused = False
        with no_room(way, folder):
            try:
                WRITERS[method](repository, study)
            except StoreUnavailable:
                refused = True
            assert repository.studies() is not None  # reading goes on
            if refused:
                assert contents(path) == before, method
        if refused:
            WRITERS[method](repository, study)
        after = contents(path)
    assert after == contents(path)
    reference = folder / "reference.sqlite3"
    shutil.copy(prepared, reference)
    with open_repository(reference, now=frozen) as repository:
        WRITERS[method](repository, repository.study(STUDY).id)
    assert after == contents(reference), method
    for each in folder.iterdir():
        each.unlink()
    return refused


def until_full(way: str, prepared: Path, folder: Path) -> None:
    """What was acknowledged before the disk was full is there, and recording goes on where it stopped."""
    path = folder / "record.sqlite3"
    shutil.copy(prepared, path)
    with open_repository(path, now=frozen) as repository:
        study = repository.study(STUDY).id
        acknowledged = list(repository.evaluations(study))
        with no_room(way, folder):
            with suppress(StoreUnavailable):
                acknowledged.extend(
                    repository.record_evaluation(study, an_evaluation(f"{number:08}"))[0] for number in range(1000)
                )
            assert len(acknowledged) < 1000
            assert repository.evaluations(study) == tuple(acknowledged)
        acknowledged.extend(
            repository.record_evaluation(study, an_evaluation(f"more {number:08}"))[0] for number in range(10)
        )
        assert repository.evaluations(study) == tuple(acknowledged)
    contents(path)


def opening(way: str, prepared: Path, folder: Path) -> None:
    """To open a record, or to make one, works or says what is wrong; of a new one no part is left behind."""
    path = folder / "record.sqlite3"
    shutil.copy(prepared, path)
    before = contents(path)
    with no_room(way, folder):
        for each in (path, folder / "new.sqlite3"):
            with suppress(StoreUnavailable), open_repository(each) as repository:
                repository.studies()
        # SQLite may leave the beginnings of its log beside an old record; whoever opens it next removes them.
        assert not [each.name for each in folder.iterdir() if "new" in each.name]
    assert contents(path) == before
    open_repository(folder / "new.sqlite3").close()


def main(way: str, prepared: Path, folder: Path) -> None:
    folder = folder / "only"
    folder.mkdir()
    for method in WRITERS:
        if one_call(method, way, prepared, folder):
            sys.stdout.write(f"{method}\n")
    until_full(way, prepared, folder)
    for each in folder.iterdir():
        each.unlink()
    opening(way, prepared, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
