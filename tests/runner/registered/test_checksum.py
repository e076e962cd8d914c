"""The data of a study is the same from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from runner import pipeline
from runner.errors import Conflict
from runner.registered.checksum import CHECKSUM_EVENT, describe_data
from runner.registered.ledger import add_data, add_extension, remove_data
from runner.registered.values import AllowedExtension
from runner.settings import Home
from runner.store import open_repository
from runner.study import parse_study
from tests.runner.registered.own_code import plain

if TYPE_CHECKING:
    from runner.store.records import StudyRecord
    from runner.store.repository import Repository

HERE = "tests.runner.registered.own_code"
ORIGINAL = "1 2 3 4 5 6 7 8"


class Quiet:
    """A reporter that nobody listens to."""

    def stage(self, name: str, position: int, total: int) -> None: ...

    def progress(self, done: int, total: int, detail: str) -> None: ...

    def note(self, message: str) -> None: ...


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    (tmp_path / "numbers.txt").write_text(ORIGINAL)
    add_data(home, "numbers", tmp_path / "numbers.txt")
    for name, kind, target in (("mine", "task", "from_file"), ("net", "family", "FAMILY")):
        add_extension(home, AllowedExtension(name=name, kind=kind, target=f"{HERE}:{target}"))  # type: ignore[arg-type]
    return home


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    with open_repository(home.database) as repository:
        yield repository


@pytest.fixture
def study(home: Home, repository: Repository) -> StudyRecord:
    spec = parse_study(
        {
            "name": "s",
            "task": {"name": "mine", "data": "numbers"},
            "space": {"name": "net"},
            "objectives": {"error": {}, "parameters": {}},
        },
        "test",
    )
    return pipeline.submit(spec, repository, home, Quiet())


def begin(study: StudyRecord, repository: Repository, home: Home) -> None:
    pipeline.open_work(study, repository, home, Quiet()).close()


def test_the_checksum_is_recorded_once(study: StudyRecord, repository: Repository, home: Home) -> None:
    begin(study, repository, home)
    begin(study, repository, home)
    (event,) = [event for event in repository.events(study.id) if event.kind == CHECKSUM_EVENT]
    assert len(event.payload["sha256"]) == 64
    assert event.payload["samples"] == {"train": 2, "validation": 12, "test": 12}
    assert event.payload["classes"] == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1 2 3 4 5 6 7 9", ["as many samples and classes, other values"]),
        ("1 2 3 4 5 6 7 8 9 10 11 12", ["3 samples to train on, not 2"]),
    ],
)
def test_other_data_is_refused_until_it_is_restored(
    study: StudyRecord, repository: Repository, home: Home, tmp_path: Path, content: str, words: list[str]
) -> None:
    begin(study, repository, home)
    (tmp_path / "numbers.txt").write_text(content)
    with pytest.raises(Conflict) as caught:
        pipeline.run(study, repository, home, Quiet())
    for word in (*words, "'s'", "SHA-256", f"'numbers': {tmp_path / 'numbers.txt'}", "Restore it", "a new name"):
        assert word in str(caught.value)
    failed = repository.study(study.id)
    assert (failed.state, failed.reason) == ("failed", str(caught.value))
    (tmp_path / "numbers.txt").write_text(ORIGINAL)
    begin(study, repository, home)


def test_the_same_content_elsewhere_is_the_same_data(
    study: StudyRecord, repository: Repository, home: Home, tmp_path: Path
) -> None:
    begin(study, repository, home)
    (tmp_path / "numbers.txt").rename(tmp_path / "moved.txt")
    remove_data(home, "numbers")
    add_data(home, "numbers", tmp_path / "moved.txt")
    begin(study, repository, home)


def test_every_split_and_the_classes_count() -> None:
    task = plain()
    described = describe_data(task)
    assert describe_data(plain()) == described
    changed = replace(task.test, inputs=task.test.inputs + torch.eye(12, 4))
    assert describe_data(replace(task, test=changed))["sha256"] != described["sha256"]
    assert describe_data(replace(task, classes=4))["classes"] == 4
