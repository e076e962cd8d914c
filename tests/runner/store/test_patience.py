from __future__ import annotations

import random
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runner.store import NotRecorded, StoreUnavailable, open_repository
from runner.store.patience import patiently
from tests.runner.store.examples import an_evaluation
from tests.runner.store.locks import locked_by_a_process

if TYPE_CHECKING:
    from pathlib import Path


class Time:
    """A clock that only sleeping moves on, and what was slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


class Scene:
    """An action that cannot be done before a moment, and everything that happens meanwhile."""

    def __init__(self, *, works_from: float = float("inf"), stops_from: float = float("inf")) -> None:
        self.time = Time()
        self.works_from = 1000.0 + works_from
        self.stops_from = 1000.0 + stops_from
        self.tries: list[float] = []
        self.told: list[str] = []

    def action(self) -> str:
        self.tries.append(self.time.now - 1000.0)
        if self.time.now < self.works_from:
            raise StoreUnavailable(f"the disk is full (try {len(self.tries)})")
        return "done"

    def run(self, patience_s: float, rng: random.Random | None = None) -> str:
        return patiently(
            self.action,
            patience_s=patience_s,
            waiting=self.told.append,
            stop=lambda: self.time.now >= self.stops_from,
            rng=rng or random.Random(0),
            clock=self.time,
            sleep=self.time.sleep,
        )


def test_what_works_is_done_once_and_nobody_is_told() -> None:
    scene = Scene(works_from=0)
    assert scene.run(60) == "done"
    assert (scene.tries, scene.told, scene.time.slept) == ([0.0], [], [])


def test_it_waits_until_it_works_and_says_so_twice() -> None:
    scene = Scene(works_from=20)
    assert scene.run(60) == "done"
    assert len(scene.told) == 2
    assert scene.told[0] == "waiting for the record, up to 60 s: the disk is full (try 1)"
    assert scene.told[1] == f"the record can be used again after {scene.tries[-1]:.1f} s"
    assert 20 <= scene.tries[-1] <= 25


def test_pauses_double_from_a_tenth_of_a_second_to_five_with_jitter() -> None:
    scene = Scene(works_from=60)
    scene.run(600)
    pauses = [after - before for before, after in zip(scene.tries, scene.tries[1:], strict=False)]
    for number, pause in enumerate(pauses):
        longest = min(0.1 * 2**number, 5.0)
        assert 0.75 * longest - 1e-9 <= pause <= longest + 1e-9
    assert len({round(pause, 6) for pause in pauses}) == len(pauses)
    another = Scene(works_from=60)
    another.run(600, random.Random(1))
    assert another.tries != scene.tries
    same = Scene(works_from=60)
    same.run(600, random.Random(0))
    assert same.tries == scene.tries


def test_it_gives_up_with_the_last_error_and_tries_until_the_end() -> None:
    scene = Scene()
    with pytest.raises(StoreUnavailable) as given_up:
        scene.run(12)
    assert scene.tries[-1] == pytest.approx(12)
    assert str(given_up.value) == f"the disk is full (try {len(scene.tries)})"
    assert len(scene.told) == 1


def test_without_patience_it_tries_once() -> None:
    scene = Scene()
    with pytest.raises(StoreUnavailable, match=r"try 1\b"):
        scene.run(0)
    assert scene.time.slept == []


def test_who_asks_to_stop_waits_no_longer_than_a_tenth_of_a_second() -> None:
    scene = Scene(stops_from=11.3)
    with pytest.raises(StoreUnavailable) as stopped:
        scene.run(600)
    assert 11.3 <= scene.time.now - 1000.0 <= 11.4 + 1e-9
    assert max(scene.tries) < 11.3
    assert str(stopped.value) == f"the disk is full (try {len(scene.tries)})"


def test_who_asked_before_does_not_wait_at_all() -> None:
    scene = Scene(stops_from=0)
    with pytest.raises(StoreUnavailable):
        scene.run(600)
    assert (scene.tries, scene.time.slept) == ([0.0], [])


@pytest.mark.parametrize("error", [NotRecorded("no such study"), KeyboardInterrupt(), ValueError("a fault of ours")])
@pytest.mark.parametrize("number", [1, 2])
def test_other_errors_are_raised_at_once(error: BaseException, number: int) -> None:
    tries = 0

    def action() -> None:
        nonlocal tries
        tries += 1
        raise error if tries == number else StoreUnavailable("locked")

    time = Time()
    with pytest.raises(type(error)) as raised:
        patiently(
            action,
            patience_s=60,
            waiting=lambda _: None,
            stop=lambda: False,
            rng=random.Random(0),
            clock=time,
            sleep=time.sleep,
        )
    assert raised.value is error
    assert tries == number


def test_a_record_that_is_really_locked(path: Path) -> None:
    told: list[str] = []
    with open_repository(path, busy_timeout_ms=20) as repository:
        study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0).id
        with locked_by_a_process(path) as holder:

            def tell(message: str) -> None:
                told.append(message)
                if len(told) == 1:
                    threading.Timer(0.5, holder.release).start()

            record, created = patiently(
                lambda: repository.record_evaluation(study, an_evaluation()),
                patience_s=30,
                waiting=tell,
                stop=lambda: False,
                rng=random.Random(0),
            )
        assert created
        assert repository.evaluations(study) == (record,)
    assert "locked by another process" in told[0]
    assert told[1].startswith("the record can be used again after ")


def test_a_record_that_stays_locked_does_not_keep_who_wants_to_stop(path: Path) -> None:
    told = threading.Event()
    with open_repository(path, busy_timeout_ms=20) as repository:
        study = repository.create_study(name="n", spec="{}", spec_digest="d", seed=0).id
        with locked_by_a_process(path), pytest.raises(StoreUnavailable, match="locked by another process"):
            patiently(
                lambda: repository.record_evaluation(study, an_evaluation()),
                patience_s=3600,
                waiting=lambda _: told.set(),
                stop=told.is_set,
                rng=random.Random(0),
            )
        assert repository.evaluations(study) == ()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
