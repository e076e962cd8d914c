"""Any order of reserving, renewing, ending leases, taking over, settling and dying, against a model in memory."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runner.faults import VARIABLE, forget_hits
from runner.store import (
    AlreadyEvaluated,
    BudgetSpent,
    Reservation,
    Reserved,
    StaleAttempt,
    StoreUnavailable,
    open_repository,
)
from tests.runner.store.examples import a_reservation, an_evaluation

BUDGET = 3
LEASES_S = st.sampled_from([10, 100])
DIGESTS = st.sampled_from(["a", "b", "c", "d", "e"])
PROCESSES = st.integers(0, 2)
CRASHES = st.sampled_from([None, None, None, "before_commit", "after_commit"])


@dataclass
class Held:
    """What the model knows of a reservation; those of a study stand in the order in which they were made."""

    owner: str
    attempt: int
    until: datetime


def process_of(owner: str) -> int:
    """The number in `Rules.name`."""
    return int(owner.split()[1].rstrip(","))


class Rules(RuleBasedStateMachine):
    """Three processes, each of which has another name in each of its lives, work on one study.

    A process that crashes within a call dies: before the commit nothing has happened, after it everything has,
    but nobody was told.
    """

    empty: Path  # a record without studies

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.lives = [0, 0, 0]
        self.held: dict[str, Held] = {}
        self.evaluated: dict[str, int] = {}
        self.tickets: list[Reservation] = []  # of all attempts that somebody was told to begin, dead ones too

    @initialize()
    def begin(self) -> None:
        shutil.copy(self.empty, self.folder / "record.sqlite3")
        self.repository = open_repository(self.folder / "record.sqlite3", now=lambda: self.now)
        self.study = self.repository.create_study(name="n", spec="{}", spec_digest="d", seed=0).id

    def teardown(self) -> None:
        if hasattr(self, "repository"):
            self.repository.close()
        shutil.rmtree(self.folder)

    def name(self, process: int) -> str:
        return f"process {process}, life {self.lives[process]}"

    def alive(self) -> list[str]:
        """What processes hold that live."""
        names = [self.name(process) for process in range(3)]
        return [digest for digest, held in self.held.items() if held.owner in names]

    def late(self) -> list[Reservation]:
        """Attempts that somebody may still be at, while another one has been begun in their place."""
        return [
            each
            for each in self.tickets
            if (held := self.held.get(each.digest)) and (held.owner, held.attempt) != (each.owner, each.attempt)
        ]

    def call(self, process: int, method: str, crash: str | None, *arguments: object, **named: object) -> object:
        """The call's result; None where the process died of it."""
        if crash is None:
            return getattr(self.repository, method)(*arguments, **named)
        forget_hits()
        with mock.patch.dict("os.environ", {VARIABLE: f"{method}.{crash}:1:disk_full"}):
            error = StoreUnavailable if crash == "before_commit" else OSError
            with pytest.raises(error, match=r"disk is full|No space left"):
                getattr(self.repository, method)(*arguments, **named)
        self.lives[process] += 1
        return None

    @rule(process=PROCESSES, digest=DIGESTS, lease_s=LEASES_S, crash=CRASHES)
    def reserve(self, process: int, digest: str, lease_s: int, crash: str | None) -> None:
        owner, held = self.name(process), self.held.get(digest)
        refusal: type[Exception] | None = None
        if digest in self.evaluated:
            refusal = AlreadyEvaluated
        elif held is not None:
            if held.owner != owner and self.now < held.until:
                refusal = Reserved
        elif len(self.evaluated) + len(self.held) >= BUDGET:
            refusal = BudgetSpent
        arguments = (self.study, a_reservation(digest))
        named = {"owner": owner, "lease_seconds": lease_s, "budget": BUDGET}
        if refusal is not None:
            with pytest.raises(refusal):
                self.repository.reserve(*arguments, **named)
            return
        made = self.call(process, "reserve", crash, *arguments, **named)
        if crash != "before_commit":
            attempt = 1 if held is None else held.attempt + 1
            self.held[digest] = Held(owner, attempt, self.now + timedelta(seconds=lease_s))
        if isinstance(made, Reservation):
            self.tickets.append(made)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), lease_s=LEASES_S, crash=CRASHES)
    def begin_again(self, data: st.DataObject, lease_s: int, crash: str | None) -> None:
        """A worker was lost, and its process tries once more; the lost one may still answer."""
        digest = data.draw(st.sampled_from(self.alive()))
        self.reserve(process_of(self.held[digest].owner), digest, lease_s, crash)

    @rule(process=PROCESSES, lease_s=LEASES_S, crash=CRASHES)
    def renew(self, process: int, lease_s: int, crash: str | None) -> None:
        mine = [held for held in self.held.values() if held.owner == self.name(process)]
        renewed = self.call(process, "renew", crash, self.study, self.name(process), lease_s)
        assert renewed in (None, len(mine))
        if crash != "before_commit":
            for held in mine:
                held.until = self.now + timedelta(seconds=lease_s)

    @rule(seconds=st.sampled_from([5, 10, 50]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(process=PROCESSES, crash=CRASHES)
    def take_over(self, process: int, crash: str | None) -> None:
        """Who holds the study's lock: all others are dead."""
        self.lives = [life if number == process else life + 1 for number, life in enumerate(self.lives)]
        owner = self.name(process)
        taken = self.call(process, "take_over", crash, self.study, owner)
        if crash != "before_commit":
            for held in self.held.values():
                held.owner = owner
        if crash is None:
            assert isinstance(taken, tuple)
            assert [each.digest for each in taken] == list(self.held)
            self.tickets.extend(taken)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), crash=CRASHES)
    def a_result(self, data: st.DataObject, crash: str | None) -> None:
        self.settle(data.draw(st.sampled_from(self.tickets)), crash)

    @precondition(lambda self: self.late())
    @rule(data=st.data())
    def a_late_result(self, data: st.DataObject) -> None:
        self.settle(data.draw(st.sampled_from(self.late())), None)

    def settle(self, ticket: Reservation, crash: str | None) -> None:
        held = self.held.get(ticket.digest)
        arguments = (self.study, ticket.owner, ticket.attempt, an_evaluation(ticket.digest))
        if ticket.digest in self.evaluated:
            record, created = self.repository.settle(*arguments)
            assert (record.attempt, created) == (self.evaluated[ticket.digest], False)
        elif held is None or (held.owner, held.attempt) != (ticket.owner, ticket.attempt):
            with pytest.raises(StaleAttempt):
                self.repository.settle(*arguments)
        else:
            settled = self.call(process_of(ticket.owner), "settle", crash, *arguments)
            if isinstance(settled, tuple):
                assert (settled[0].attempt, settled[1]) == (ticket.attempt, True)
            if crash != "before_commit":
                del self.held[ticket.digest]
                self.evaluated[ticket.digest] = ticket.attempt

    @rule(process=PROCESSES, crash=CRASHES)
    def release(self, process: int, crash: str | None) -> None:
        owner = self.name(process)
        mine = [digest for digest, held in self.held.items() if held.owner == owner]
        dropped = self.call(process, "release", crash, self.study, owner)
        assert dropped in (None, len(mine))
        if crash != "before_commit":
            for digest in mine:
                del self.held[digest]

    @rule(process=PROCESSES)
    def kill(self, process: int) -> None:
        self.lives[process] += 1

    @rule()
    def open_again(self) -> None:
        self.repository.close()
        self.repository = open_repository(self.folder / "record.sqlite3", now=lambda: self.now)

    @invariant()
    def the_record_is_what_the_model_says(self) -> None:
        if not hasattr(self, "repository"):
            return
        found = self.repository.reservations(self.study)
        assert [(each.digest, each.owner, each.attempt, each.until) for each in found] == [
            (digest, held.owner, held.attempt, held.until) for digest, held in self.held.items()
        ]
        evaluations = self.repository.evaluations(self.study)
        assert [(each.digest, each.attempt) for each in evaluations] == list(self.evaluated.items())
        assert not set(self.held) & set(self.evaluated)
        assert len(found) + len(evaluations) <= BUDGET


@pytest.mark.slow
def test_the_record_follows_the_model(tmp_path: Path) -> None:
    Rules.empty = tmp_path / "empty.sqlite3"
    open_repository(Rules.empty).close()
    run_state_machine_as_test(
        Rules,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
