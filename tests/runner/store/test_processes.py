"""Several processes on one record, and processes that are killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.store import open_repository
from runner.store.upkeep import check
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord

ROOT = Path(__file__).parents[3]


def writer(location: str, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runner.store.writer", location, name, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_whole(location: str, acknowledged: list[str]) -> None:
    """Nothing acknowledged is lost, nothing is counted twice, no number is left out."""
    assert check(location).problems == ()
    with open_repository(location) as repository:
        (study,) = repository.studies()
        evaluations = repository.evaluations(study.id)
        digests = [each.digest for each in evaluations]
        assert len(set(digests)) == len(digests)
        assert set(acknowledged) <= set(digests)
        assert [each.sequence for each in evaluations] == list(range(1, len(evaluations) + 1))
        assert all(len(each.values) == 3 for each in evaluations)
        events = repository.events(study.id)
        assert [each.sequence for each in events] == list(range(1, len(events) + 1))


@pytest.mark.slow
def test_two_processes_write_at_once(nowhere: str) -> None:
    """Both also try to make the database and the study."""
    processes = [writer(nowhere, name, 100) for name in ("first", "second")]
    acknowledged = []
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        acknowledged.extend(output.split())
    assert len(acknowledged) == 200
    assert_whole(nowhere, [*acknowledged, "common"])
    with open_repository(nowhere) as repository:
        assert len(repository.evaluations(repository.study("shared").id)) == 201


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_acknowledged(nowhere: str) -> None:
    rng = random.Random(0)
    acknowledged: list[str] = []
    for attempt in range(4):
        process = writer(nowhere, f"attempt-{attempt}", 100_000)
        assert process.stdout is not None
        assert process.stderr is not None
        acknowledged.extend(process.stdout.readline().strip() for _ in range(rng.randint(1, 40)))
        process.kill()
        rest, _ = process.communicate(timeout=60)
        acknowledged.extend(line for line in rest.split("\n")[:-1])  # what follows the last newline was cut off
        assert process.returncode == -9
        assert_whole(nowhere, acknowledged)
    assert len(acknowledged) >= 4
    assert all(acknowledged)


@pytest.mark.slow
def test_threads_share_one_repository(repository: Repository, study: StudyRecord) -> None:
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(25):
                repository.record_evaluation(study.id, an_evaluation(f"{name}-{number}"))
                repository.evaluations(study.id)
        except BaseException as error:  # noqa: BLE001  (reported below, in the test's own thread)
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"thread-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [each.sequence for each in repository.evaluations(study.id)] == list(range(1, 101))
