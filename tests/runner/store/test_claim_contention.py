"""Several workers that claim at the same moment: threads, processes, some with wrong clocks, some that die."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from runner.store import open_repository
from runner.store.upkeep import check
from tests.runner.store.test_contention import ROOT, Contender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.store import Repository

HOURS = {"right": 0, "ahead": 1, "behind": -1}  # of the workers' clocks


@contextmanager
def claimers(location: str) -> Iterator[dict[str, Contender]]:
    with ExitStack() as stack:
        started = {
            name: Contender(
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-m", "tests.runner.store.claimer", location, name, str(hours)],
                        cwd=ROOT,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            )
            for name, hours in HOURS.items()
        }
        assert [each.hear() for each in started.values()] == ["ready"] * len(started)
        yield started


def submit(repository: Repository, count: int) -> list[str]:
    return [
        repository.create_study(name=f"n{number}", spec="{}", spec_digest="d", seed=0, desired_state="running").id
        for number in range(count)
    ]


def all_at_once(everyone: dict[str, Contender], line: str) -> list[str]:
    """What each answers; those who got something come with it."""
    for each in everyone.values():
        each.say(line)
    return [each.hear() for each in everyone.values()]


def until_nothing(everyone: dict[str, Contender], line: str) -> list[str]:
    found: list[str] = []
    while True:
        answers = [answer for answer in all_at_once(everyone, line) if answer != "nothing"]
        if not answers:
            return found
        found.extend(answers)


def test_of_threads_that_claim_at_once_each_study_has_one(location: str) -> None:
    with open_repository(location) as repository:
        made = submit(repository, 12)

        def claim_all(worker: int) -> list[str]:
            mine = []
            while (claim := repository.claim_study(f"worker {worker}", 600)) is not None:
                mine.append(claim.study.id)
                repository.fenced(claim).add_event(claim.study.id, "note")
            return mine

        with ThreadPoolExecutor(6) as threads:
            found = [study for mine in threads.map(claim_all, range(6)) for study in mine]
        assert sorted(found) == sorted(made)
        assert {repository.study(each).lease_attempt for each in made} == {1}


def test_of_threads_that_claim_jobs_at_once_each_study_has_one_worker(location: str) -> None:
    """Each asserts that nobody else does a job of the study meanwhile."""
    with open_repository(location) as repository:
        studies = [repository.create_study(name=f"n{i}", spec="{}", spec_digest="d", seed=0).id for i in range(3)]
        jobs = [repository.create_job(study, "export", {}).id for study in studies for _ in range(5)]
        until = time.monotonic() + 100

        def work(worker: int) -> list[str]:
            done = []
            while len(done) < len(jobs):
                assert time.monotonic() < until, "somebody holds a job and does not finish it"
                claim = repository.claim_job(f"worker {worker}", 600)
                if claim is None:
                    if all(repository.job(each).state == "complete" for each in jobs):
                        break
                    continue
                under_way = [each for each in repository.jobs(claim.job.study_id) if each.state == "running"]
                assert [each.id for each in under_way] == [claim.job.id]
                repository.finish_job(claim, "complete")
                done.append(claim.job.id)
            return done

        with ThreadPoolExecutor(4) as threads:
            assert sorted(job for done in threads.map(work, range(4)) for job in done) == sorted(jobs)
        assert {repository.job(each).attempt for each in jobs} == {1}


@pytest.mark.slow
def test_processes_with_wrong_clocks_share_studies_and_jobs(location: str) -> None:
    with open_repository(location) as repository, claimers(location) as everyone:
        made = submit(repository, 15)
        found = until_nothing(everyone, "study")
        assert sorted(found) == sorted(f"{each} 1" for each in made)
        owners = Counter(repository.study(each).lease_owner for each in made)
        assert set(owners) <= set(HOURS)
        other = [repository.create_study(name=f"o{i}", spec="{}", spec_digest="d", seed=0).id for i in range(5)]
        jobs = [repository.create_job(study, "export", {}).id for study in other]
        assert sorted(until_nothing(everyone, "job")) == sorted(f"{each} 1" for each in jobs)


@pytest.mark.slow
def test_a_killed_worker_s_study_goes_to_one_of_the_others_and_a_late_one_writes_nothing(location: str) -> None:
    with open_repository(location) as repository, claimers(location) as everyone:
        (study,) = submit(repository, 1)
        everyone["behind"].say("study")
        assert everyone["behind"].hear() == f"{study} 1"
        assert until_nothing({name: everyone[name] for name in ("right", "ahead")}, "study") == []
        for name, answer in (("behind", "written"),):
            everyone[name].say(f"write {study}")
            assert everyone[name].hear() == answer
        # Its lease ends, as if it had been silent for as long: by the database's clock.
        with repository._engine.begin() as connection:
            connection.execute(text("UPDATE study SET lease_until = '2020-01-01 00:00:00.000000'"))
        others = {name: everyone[name] for name in ("right", "ahead")}
        assert until_nothing(others, "study") == [f"{study} 2"]
        everyone["behind"].say(f"write {study}")
        assert everyone["behind"].hear() == "lost"
        heir = repository.study(study).lease_owner
        assert heir in others
        others[heir].say(f"write {study}")
        assert others[heir].hear() == "written"
        writers = [event.payload["by"] for event in repository.events(study) if event.kind == "written"]
        assert writers == ["behind", heir]
    assert check(location).problems == ()
