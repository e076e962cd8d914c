"""What studies over a table are, for the children that run them and for the tests that look at them."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from runner.workers.attempt import command
from search_spaces import Ordinal

if TYPE_CHECKING:
    from runner.settings import Home
    from runner.store import Repository
    from runner.store.records import JobClaim, StudyClaim

BUDGET = 12
SECONDS_VARIABLE = "TABLE_SECONDS"  # for one evaluation
SPACE = {"a": Ordinal(*range(8)), "b": Ordinal(*range(8))}


def table_command(home: Home, claim: StudyClaim | JobClaim) -> list[str]:
    """The command of a child that searches a table."""
    usual = command(home, claim)
    return [sys.executable, "-m", "tests.runner.workers.table_child", *usual[3:]]


def check_finished(repository: Repository, name: str) -> None:
    """A study is complete, once, with its whole budget and nothing twice, and its events have no gap."""
    study = repository.study(name)
    assert study.state == "complete", (study.name, study.state, study.reason)
    evaluations = repository.evaluations(study.id)
    assert len(evaluations) == BUDGET
    assert len({one.digest for one in evaluations}) == BUDGET
    assert sorted(one.sequence for one in evaluations) == [*range(1, BUDGET + 1)]
    assert repository.reservations(study.id) == ()
    events = repository.events(study.id)
    assert [event.sequence for event in events] == [*range(1, len(events) + 1)]
    numbers = [event.number for event in events]
    assert numbers == sorted(set(numbers))
    reached = Counter(event.payload["to"] for event in events if event.kind == "study.state")
    assert reached["complete"] == 1
    assert events[-1].payload.get("to") == "complete" or events[-1].kind == "stage.progress"
    assert not is_held(repository, name)


def is_held(repository: Repository, name: str) -> bool:
    """Whether a lease runs; one of a worker that was killed right after the study was complete has ended."""
    until = repository.study(name).lease_until
    return until is not None and until > repository.database_time()
