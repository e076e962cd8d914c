"""A process that does with reservations what it reads, so that several can be told the same at the same moment.

`python -m tests.runner.store.contender PATH OWNER` reads lines "reserve DIGEST BUDGET" and "settle DIGEST ATTEMPT"
and answers each with a line: `reserved`, `held` (by another), `spent`, `new`, `known` or `stale`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.store import BudgetSpent, Reserved, StaleAttempt, open_repository
from tests.runner.store.examples import a_reservation, an_evaluation

if TYPE_CHECKING:
    from runner.store import Repository

STUDY = "shared"


def reserve(repository: Repository, study: str, owner: str, digest: str, budget: int) -> str:
    """Try to reserve."""
    try:
        repository.reserve(study, a_reservation(digest), owner=owner, lease_seconds=600, budget=budget)
    except BudgetSpent:
        return "spent"
    except Reserved:
        return "held"
    return "reserved"


def settle(repository: Repository, study: str, owner: str, digest: str, attempt: int) -> str:
    """Try to settle."""
    try:
        return "new" if repository.settle(study, owner, attempt, an_evaluation(digest))[1] else "known"
    except StaleAttempt:
        return "stale"


def main(path: str, owner: str) -> None:
    """See above."""
    with open_repository(path) as repository:
        study = repository.study(STUDY).id
        answer = "ready"
        while True:
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
            words = sys.stdin.readline().split()
            if not words:
                return
            action, digest, number = words
            answer = (reserve if action == "reserve" else settle)(repository, study, owner, digest, int(number))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
