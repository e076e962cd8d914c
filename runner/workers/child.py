"""The process that does the work of one claim: `python -m runner.workers.child`, started by the supervisor.

Its standard input is held open by the supervisor: when that ends, for whatever reason, this process stops at the next
safe point, and at once if that takes long.  What it may write, the fence decides.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.progress import LineReporter, stop_on_signals
from runner.errors import Conflict, Interrupted, exit_code
from runner.process import settle
from runner.settings import Home
from runner.store import LeaseLost, NotRecorded, StoreUnavailable, open_repository
from runner.store.records import JobClaim, StudyClaim
from runner.workers.parent import when_it_is_gone
from runner.workers.reporting import EventReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from runner.progress import Stop
    from runner.store.repository import Repository

DONE, STOPPED, FENCED = 0, 75, 76  # exit statuses; anything else means that it died
ORPHAN_GRACE_S = 20.0  # for an orphan to reach a safe point: less than a lease, so that its successor finds it gone


def main() -> None:
    """Do the work of a claim; the exit status says how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("study", "job"))
    parser.add_argument("id")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    arguments = parser.parse_args()
    sys.exit(
        work(Home(arguments.home.absolute()), arguments.kind, arguments.id, arguments.worker, arguments.attempt, _alone)
    )


def work(
    home: Home, kind: str, row_id: str, worker_id: str, attempt: int, watch: Callable[[threading.Event], object]
) -> int:
    """Do the work of one claim; `watch` sets the event that it is given when the supervisor is gone."""
    orphaned = threading.Event()
    with stop_on_signals() as asked, open_repository(home.database_url) as repository:
        watch(orphaned)
        try:
            act = _study if kind == "study" else _job
            act(home, repository, row_id, worker_id, attempt, lambda: asked() or orphaned.is_set())
        except (Interrupted, KeyboardInterrupt, StoreUnavailable, Conflict) as error:
            print(str(error) or "stopped", file=sys.stderr)  # noqa: T201  (the log of this claim)
            return STOPPED
        except (LeaseLost, NotRecorded) as error:
            print(error, file=sys.stderr)  # noqa: T201
            return FENCED
    return DONE


def _study(home: Home, repository: Repository, study_id: str, worker_id: str, attempt: int, stop: Stop) -> None:
    """Run a study; that it failed is in its row, and no failure of this process."""
    from runner import pipeline

    settle()
    # As it stood when it was claimed: if somebody else has it by now, the fence says so.
    study = replace(repository.study(study_id), lease_owner=worker_id, lease_attempt=attempt)
    fenced = repository.fenced(StudyClaim(study=study, attempt=attempt))
    reporter = EventReporter(lambda kind, told: fenced.add_event(study_id, kind, told), LineReporter())
    try:
        pipeline.run(study, fenced, home, reporter, stop, submitted=True)
    except (Interrupted, KeyboardInterrupt, LeaseLost, StoreUnavailable, Conflict):
        raise
    except Exception as error:
        if exit_code(error) is None:
            raise  # a fault of ours: its traceback belongs into the log
        print(error, file=sys.stderr)  # noqa: T201


def _job(home: Home, repository: Repository, job_id: str, worker_id: str, attempt: int, stop: Stop) -> None:
    """Do a job and say in its row how it ended."""
    from runner import pipeline
    from runner.workers.jobs import do

    settle()
    job = replace(repository.job(job_id), lease_owner=worker_id)
    claim = JobClaim(job=job, attempt=attempt)
    fenced = repository.fenced(claim)

    def post(kind: str, told: Mapping[str, Any]) -> None:
        fenced.set_job_progress(claim, {"kind": kind, **told})

    try:
        study = repository.study(job.study_id)
        reporter = EventReporter(post, LineReporter())
        patience_s = pipeline.PATIENCE_WITH_PREDECESSORS_S
        with pipeline.at_work(study, fenced, home, reporter, stop, patience_s=patience_s) as work:
            result = do(job, work)
    except (Interrupted, KeyboardInterrupt, LeaseLost, StoreUnavailable, Conflict):
        raise
    except Exception as error:
        known = exit_code(error) is not None
        fenced.finish_job(claim, "failed", str(error) if known else f"{type(error).__name__}: {error}")
        if not known:
            raise
        print(error, file=sys.stderr)  # noqa: T201
    else:
        fenced.finish_job(claim, "complete", result=result)


def _alone(orphaned: threading.Event) -> None:
    """Set the event when the supervisor is gone, and end this process if it does not end by itself soon."""

    def end() -> None:
        orphaned.set()
        threading.Event().wait(ORPHAN_GRACE_S)
        os._exit(STOPPED)

    when_it_is_gone(end)


if __name__ == "__main__":
    main()
