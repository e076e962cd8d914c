"""`supernaut fidelity`: sample, score with shared weights, train alone, report.  Everything that is done is a row.

Owns the order of the work and its budget of time.  What was done before, by a call that was cut off or by one that
asked for less, is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.errors import Conflict, Interrupted, SpecError
from runner.fidelity.campaign import Campaign
from runner.fidelity.report import EVENT, Compared, FidelityReport, make_report
from runner.fidelity.rows import SAMPLED, SAMPLED_EXPORTED, SAMPLED_RETRAINED, Key, Ledger, alone, score_in, seed_of
from runner.fidelity.sample import COST, draw_sample
from runner.fidelity.trainings import EXPORTED, FAILED, TrainingJob
from runner.parallel.serial import SerialExecutor
from runner.pretrained import recorded_ranks
from runner.scoring import Scorer, arrays_of
from runner.stages.retrain import judged_by
from runner.stages.train import precision_of, restore_weights
from runner.work import worker_count

if TYPE_CHECKING:
    from runner.fidelity.sample import Sample
    from runner.fidelity.settings import FidelitySettings
    from runner.search.engine import Executor
    from runner.search.outcome import Outcome
    from runner.store.records import StudyRecord
    from runner.store.repository import Repository
    from runner.work import StudyWork
    from search_spaces import Architecture

FOLDER = "fidelity"


def check_trained(study: StudyRecord, repository: Repository) -> None:
    """Raise `Conflict` unless the training of the study's supernet is complete."""
    state = next((stage.state for stage in repository.stages(study.id) if stage.name == "train"), "missing")
    if state != "complete":
        raise Conflict(
            f"the shared weights of {study.name!r} are not trained yet (its stage train is {state}); run the study "
            f"first: supernaut resume {study.name}"
        )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one call came to."""

    report: FidelityReport
    unfinished: Mapping[str, str]  # digest -> why it could not be trained now; the next call tries again


def measure_fidelity(work: StudyWork, settings: FidelitySettings) -> Measured:
    """Train what is missing, as far as the time goes, and report on what there is.

    The caller holds the lock of the study.  Raises `SpecError` for settings that this study cannot have, `Interrupted`
    where someone asked to stop, `StudyFailed` where training after training fails; the report is recorded in any case.
    """
    comparison = _Fidelity(work, settings, time.monotonic())
    try:
        comparison.score()
        unfinished = comparison.train()
    finally:
        report = comparison.report()
    if work.stop() and not report.complete:
        raise Interrupted(
            f"stopped after {report.done} of {report.wanted} trainings; they are kept, unfinished ones have checkpoints"
        )
    return Measured(report=report, unfinished=unfinished)


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """All trainings of one kind with one seed."""

    name: str
    job: TrainingJob
    fidelity: str
    architectures: tuple[Architecture, ...]


class _Fidelity:
    """One call."""

    def __init__(self, work: StudyWork, settings: FidelitySettings, begun: float) -> None:
        spec = work.spec
        self._work, self._settings = work, settings
        self._deadline = None if settings.minutes is None else begun + 60 * settings.minutes
        self._metric, self._goal = _metric(work, settings.metric)
        self._steps = spec.train.steps if settings.steps is None else settings.steps
        if self._steps < 1:
            raise SpecError(
                f"the supernet of {work.study.name!r} was not trained (train.steps is {self._steps}), so its recipe "
                "does not say how long an architecture alone is trained; give --steps."
            )
        self._precision = precision_of(work)
        work.reporter.note("computing what the architectures of the space cost")
        self._sample: Sample = draw_sample(work.plan, settings.architectures)
        if len(self._sample.costs) < settings.architectures:
            work.reporter.note(f"the space holds {len(self._sample.costs)} architectures; all of them are compared")
        restore_weights(work)
        self._ledger = Ledger(work)
        self._phases = self._plan()
        self._workers = _workers(work, settings.workers)

    def score(self) -> None:
        """Score with shared weights what the search has not, and keep every cost."""
        work, sample = self._work, self._sample
        scorer = Scorer(work.plan, work.weights.eval())
        work.reporter.stage("shared weights", 1, 1 + len(self._phases))
        for number, (architecture, cost) in enumerate(sample.costs.items(), start=1):
            if not self._ledger.holds(architecture, SAMPLED, work.spec.seed):
                if self._over():
                    return
                began = time.monotonic()
                self._ledger.enter(
                    architecture,
                    SAMPLED,
                    work.spec.seed,
                    self._ledger.searched(architecture, work.spec.seed) or scorer(architecture),
                    "inherited",
                    computed={COST: cost},
                    seconds=time.monotonic() - began,
                )
            work.reporter.progress(number, len(sample.costs), architecture.digest)

    def train(self) -> dict[str, str]:
        """Every training that is missing, phase after phase; those that could not be done, and why."""
        unfinished: dict[str, str] = {}
        for position, phase in enumerate(self._phases, start=2):
            self._work.reporter.stage(phase.name, position, 1 + len(self._phases))
            missing = self._missing(phase)
            if self._over():
                break
            if missing:
                campaign = self._campaign(phase, len(missing))
                with self._executor(phase.job) as executor:
                    campaign.run(executor, missing)
                unfinished |= campaign.unfinished
        return unfinished

    def report(self) -> FidelityReport:
        """What there is now; recorded, unless the last report said the same."""
        work = self._work
        rows = {Key(row.digest, row.fidelity, row.seed): row for row in self._ledger.rows}
        trainings = [
            Key(architecture.digest, phase.fidelity, phase.job.seed)
            for phase in self._phases
            for architecture in phase.architectures
        ]
        made = make_report(
            [self._compared(rows, architecture, cost) for architecture, cost in self._sample.costs.items()],
            metric=self._metric,
            goal=self._goal,
            cost=COST,
            steps=self._steps,
            seeds=self._seeds,
            wanted=len(trainings),
            done=sum(key in rows for key in trainings),
            failed=sum(key in rows and rows[key].failure is not None for key in trainings),
            knee_cost=_knee_cost(work, COST),
            seed=work.spec.seed,
        )
        payload = made.to_json()
        told = [event.payload for event in work.repository.events(work.study.id) if event.kind == EVENT]
        if payload not in told[-1:]:
            work.commit(lambda: work.repository.add_event(work.study.id, EVENT, payload))
        return made

    @property
    def _seeds(self) -> tuple[int, ...]:
        return tuple(seed_of(self._work.spec.seed, repeat) for repeat in range(self._settings.repeats))

    def _over(self) -> bool:
        """Whether to stop: someone asked, or the time is used up."""
        return self._work.stop() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def _plan(self) -> tuple[_Phase, ...]:
        """Seed by seed, so that time that is cut short first costs the ceiling."""
        work, settings, architectures = self._work, self._settings, self._sample.architectures
        name = alone(self._steps, work.spec.train.steps)
        phases = [
            _Phase(
                name=f"alone, seed {seed}",
                job=self._job(f"{name}/seed-{seed}", self._steps, seed),
                fidelity=name,
                architectures=tuple(a for place, a in enumerate(architectures) if settings.repeats_of(place) > repeat),
            )
            for repeat, seed in enumerate(self._seeds)
        ]
        if settings.retrains:
            seed = work.spec.seed
            job = self._job("retrained", work.spec.retrain.steps, seed, inherited=True)
            fidelity = SAMPLED_EXPORTED if settings.exported else SAMPLED_RETRAINED
            phases.append(_Phase(name="retrained", job=job, fidelity=fidelity, architectures=architectures))
        return tuple(phases)

    def _job(self, folder: str, steps: int, seed: int, *, inherited: bool = False) -> TrainingJob:
        work = self._work
        return TrainingJob(
            spec=work.study.spec,
            name=work.study.name,
            folder=work.path(FOLDER, folder).absolute(),
            stop_file=work.path(FOLDER, "stop").absolute(),
            steps=steps,
            seed=seed,
            precision=self._precision,
            inherited=inherited,
            exported=inherited and self._settings.exported,
            registered=work.plan.registered,
            layer_ranks=recorded_ranks(work) if inherited else (),
        )

    def _missing(self, phase: _Phase) -> list[Architecture]:
        return [a for a in phase.architectures if not self._ledger.holds(a, phase.fidelity, phase.job.seed)]

    def _campaign(self, phase: _Phase, missing: int) -> Campaign:
        """Trainings whose ends go to the ledger and to whoever follows."""
        work, seed, total = self._work, phase.job.seed, len(phase.architectures)
        done = total - missing

        def told(architecture: Architecture, words: str) -> None:
            nonlocal done
            done += 1
            work.reporter.progress(done, total, f"{architecture.digest} {words}")

        def enter(scores: Mapping[str, Any], outcome: Outcome) -> None:
            self._enter(phase, scores, outcome)
            told(outcome.architecture, f"{self._metric} {scores[self._metric]:.4g}")

        def fail(architecture: Architecture, kind: str, message: str, attempt: int) -> None:
            self._ledger.fail(architecture, phase.fidelity, seed, kind, message, attempt)
            told(architecture, "failed")

        return Campaign(job=phase.job, enter=enter, fail=fail, stop=self._over, note=work.reporter.note)

    def _enter(self, phase: _Phase, scores: Mapping[str, Any], outcome: Outcome) -> None:
        architecture, seed = outcome.architecture, phase.job.seed
        of_file = {name.removeprefix(EXPORTED): scores[name] for name in scores if name.startswith(EXPORTED)}
        own = {name: score for name, score in scores.items() if not name.startswith(EXPORTED)}
        fidelity = SAMPLED_RETRAINED if phase.job.inherited else phase.fidelity
        entered: dict[str, Any] = {"seconds": outcome.seconds, "attempt": outcome.attempt}
        self._ledger.enter(architecture, fidelity, seed, own, "retrained", **entered)
        if FAILED in of_file:
            self._ledger.fail(architecture, SAMPLED_EXPORTED, seed, "exception", str(of_file[FAILED]))
        elif phase.job.exported:  # of outputs that are not finite there is no file, and its row says so, too
            self._ledger.enter(architecture, SAMPLED_EXPORTED, seed, of_file or own, "exported", **entered)

    def _executor(self, job: TrainingJob) -> Executor:
        """What runs trainings: this process, or workers of their own."""
        arrays = arrays_of(self._work.weights) if job.inherited else {}
        if self._workers == "serial":
            training = job(arrays)
            training.stop = self._over
            return SerialExecutor(training)
        return self._work.pool(job, arrays, workers=self._workers)

    def _compared(self, rows: Mapping[Key, Any], architecture: Architecture, cost: float) -> Compared:
        digest, seed, metric = architecture.digest, self._work.spec.seed, self._metric

        def score(fidelity: str, of_seed: int) -> float | None:
            found = score_in(rows, Key(digest, fidelity, of_seed), metric)
            return found if found == found else None

        fidelity = alone(self._steps, self._work.spec.train.steps)
        retrains, exported = self._settings.retrains, self._settings.exported
        return Compared(
            digest=digest,
            cost=cost,
            inherited=score(SAMPLED, seed),
            retrained=score(SAMPLED_RETRAINED, seed) if retrains else None,
            exported=score(SAMPLED_EXPORTED, seed) if exported else None,
            alone=tuple(score(fidelity, one) for one in self._seeds),
        )


def _metric(work: StudyWork, asked: str | None) -> tuple[str, str]:
    metrics = work.plan.task.metrics
    if asked is None:
        return judged_by(work)
    if asked not in metrics:
        raise SpecError(f"--metric {asked}: the task {work.plan.task.name!r} scores {', '.join(metrics)}; name one.")
    return asked, metrics[asked]


def _workers(work: StudyWork, asked: int | Literal["auto", "serial"] | None) -> int | Literal["serial"]:
    if asked is None:
        return worker_count(work.spec)
    search = work.spec.search.model_copy(update={"workers": asked})
    return worker_count(work.spec.model_copy(update={"search": search}))


def _knee_cost(work: StudyWork, cost: str) -> float | None:
    """What the knee of the front costs, where there is one already."""
    knee = work.front().knee
    value = None if knee is None else knee.values.get(cost)
    return None if value is None else value.value
