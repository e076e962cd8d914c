"""Several processes that want the same at the same moment, and processes killed while they reserve."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.store import BudgetSpent, open_repository
from tests.runner.store.contender import STUDY
from tests.runner.store.examples import a_reservation, an_evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.slow


class Contender:
    """One of the processes, for a test that talks to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def contenders(location: str, *owners: str) -> Iterator[list[Contender]]:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.runner.store.contender", location, owner],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for owner in owners
        ]
        started = [Contender(process) for process in processes]
        assert [each.hear() for each in started] == ["ready"] * len(owners)
        yield started


@pytest.fixture
def study(location: str) -> str:
    with open_repository(location) as repository:
        return repository.create_study(name=STUDY, spec="{}", spec_digest="d", seed=0).id


def test_processes_that_reserve_at_once_never_exceed_the_budget(location: str, study: str) -> None:
    """In each round four of them want one of two places."""
    with open_repository(location) as repository:
        repository.record_evaluation(study, an_evaluation("recorded"))
        with contenders(location, "a", "b", "c", "d") as everyone:
            for number in range(20):
                budget = 1 + 2 * (number + 1)
                for name, each in zip("abcd", everyone, strict=True):
                    each.say(f"reserve {name}-{number} {budget}")
                assert sorted(each.hear() for each in everyone) == ["reserved", "reserved", "spent", "spent"]
                reservations = repository.reservations(study)
                assert len(reservations) == budget - 1
                assert all(each.attempt == 1 for each in reservations)
                assert all(each.digest.startswith(each.owner) for each in reservations)


def test_of_processes_that_reserve_the_same_at_once_one_gets_it(location: str, study: str) -> None:
    with contenders(location, "a", "b", "c", "d") as everyone:
        for number in range(20):
            for each in everyone:
                each.say(f"reserve {number} 1000")
            assert sorted(each.hear() for each in everyone) == ["held", "held", "held", "reserved"]
    with open_repository(location) as repository:
        assert [(each.digest, each.attempt) for each in repository.reservations(study)] == [
            (str(number), 1) for number in range(20)
        ]


def test_processes_that_settle_the_same_attempt_at_once_make_one_row(location: str, study: str) -> None:
    with open_repository(location) as repository, contenders(location, "same", "same", "other") as everyone:
        for number in range(20):
            repository.reserve(study, a_reservation(str(number)), owner="same", lease_seconds=600, budget=None)
            for each in everyone[:2]:
                each.say(f"settle {number} 1")
            assert sorted(each.hear() for each in everyone[:2]) == ["known", "new"]
            everyone[2].say(f"settle {number} 1")
            assert everyone[2].hear() == "known"
        everyone[2].say("settle never 1")
        assert everyone[2].hear() == "stale"
        assert [each.sequence for each in repository.evaluations(study)] == list(range(1, 21))
        assert repository.reservations(study) == ()


def test_killed_processes_cannot_overspend(location: str, study: str) -> None:
    """Each leaves reservations behind, some without having heard of them; their places stay taken."""
    budget, rng, acknowledged = 200, random.Random(0), []
    for life in range(3):
        with contenders(location, f"life-{life}") as (contender,):
            for number in range(60):
                contender.say(f"reserve {life}-{number} {budget}")
            for number in range(rng.randint(1, 20)):
                assert contender.hear() == "reserved"
                acknowledged.append(f"{life}-{number}")
            contender.process.kill()
    with open_repository(location) as repository:
        taken = repository.take_over(study, "heir")
        assert set(acknowledged) <= {each.digest for each in taken}
        assert [each.sequence for each in taken] == list(range(1, len(taken) + 1))
        for number in range(budget - len(taken)):
            repository.reserve(study, a_reservation(f"rest-{number}"), owner="heir", lease_seconds=60, budget=budget)
        with pytest.raises(BudgetSpent):
            repository.reserve(study, a_reservation("too-many"), owner="heir", lease_seconds=60, budget=budget)
        assert repository.reserve(study, taken[0], owner="heir", lease_seconds=60, budget=budget).attempt == 2
