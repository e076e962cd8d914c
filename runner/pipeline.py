"""A study from submission to exported files: its stages in order, and what happens to its state.

Owns the order and the transitions.  A study that was cut
off goes on from the last row that it committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from runner.errors import Conflict, Interrupted, Unreachable, exit_code
from runner.locking import exclusively
from runner.pretrained import open_pretrained
from runner.progress import Reporter, Stop, never
from runner.recipes import open_retrain_teacher, open_teacher
from runner.registered.checksum import check_data
from runner.registered.ledger import read_registered
from runner.stages import confirm, export, profile, retrain, search, train
from runner.store.errors import AmbiguousId, LeaseLost, StoreUnavailable, StudyNotFound
from runner.study import StudySpec, recorded_spec
from runner.timing import StudyTimer, register_this_device
from runner.validation import plan
from runner.work import StudyWork
from supernet.skeleton import build_real

if TYPE_CHECKING:
    from runner.settings import Home
    from runner.store.records import StageState, StudyRecord
    from runner.store.repository import Repository
    from runner.validation import Plan
    from search_spaces import Architecture, SearchSpace

Result = TypeVar("Result")
Stage = tuple[str, Callable[["StudyWork"], dict[str, Any]]]

STAGES: tuple[Stage, ...] = (
    ("train", train.run),
    ("profile", profile.run),
    ("search", search.run),
    ("confirm", confirm.run),
    ("retrain", retrain.run),
    ("export", export.run),
)

# A worker's predecessor may be dead to the record and still on its way to a safe point (`runner.workers.child`).
PATIENCE_WITH_PREDECESSORS_S = 40.0


def submit(spec: StudySpec, repository: Repository, home: Home, reporter: Reporter) -> StudyRecord:
    """Check a study and record it, or find the one of this name again.

    Raises `SpecError` or `Unreachable` before anything is recorded, `Conflict` where the name belongs to a study
    with other settings.
    """
    try:
        known = repository.study(spec.name)
    except (StudyNotFound, AmbiguousId):  # as a name: other studies' ids may begin with it
        known = None
    if known is not None and known.name == spec.name:
        # Read again, not the digest of then: a setting that this version added has its default in both.
        if recorded_spec(known.spec, known.name).digest != spec.digest:
            raise Conflict(
                f"a study named {spec.name!r} exists with other settings. Give this one another name, or delete that "
                f"one and everything it measured: supernaut delete {spec.name}"
            )
        return known
    device_id = _check(spec, repository, home, reporter)
    return repository.create_study(
        name=spec.name,
        spec=spec.model_dump_json(),
        spec_digest=spec.digest,
        seed=spec.seed,
        device_id=device_id,
        stages=[name for name, _ in STAGES],
    )


def run(
    study: StudyRecord,
    repository: Repository,
    home: Home,
    reporter: Reporter,
    stop: Stop = never,
    *,
    submitted: bool = False,
) -> StudyRecord:
    """Run every stage that is not complete.  A complete study is returned as it is.

    A study that was `submitted` to a server, which could not look at everything, is checked first.  Raises
    `Interrupted` where `stop` said so, `Conflict` where another process runs the study, and whatever a stage could not
    do; the study's state and reason say so too.
    """
    if study.state == "complete":
        return study
    with exclusively(home.study(study.id), study.name, PATIENCE_WITH_PREDECESSORS_S if submitted else 0.0):
        with (
            _entered(study, repository) as study,
            ExitStack() as undo,
        ):
            if submitted:
                study = _checked(study, repository, home, reporter)
            work = undo.enter_context(closing(open_work(study, repository, home, reporter, stop)))
            _run_stages(work, STAGES)
        return repository.transition_study(study.id, "running", "complete")


def train_then(
    action: Callable[[StudyWork], Result],
    study: StudyRecord,
    repository: Repository,
    home: Home,
    reporter: Reporter,
    stop: Stop = never,
) -> Result:
    """What `action` returns for a study whose supernet is trained, but not searched; trains it where that is missing.

    Leaves the study interrupted, so that `resume` would search it; a complete one stays complete.  Raises what `run`
    raises.
    """
    finished = study.state == "complete"
    with exclusively(home.study(study.id), study.name):
        with (
            nullcontext(study) if finished else _entered(study, repository) as study,
            closing(open_work(study, repository, home, reporter, stop)) as work,
        ):
            _run_stages(work, STAGES[:1])
            result = action(work)
        if not finished:
            repository.transition_study(study.id, "running", "interrupted", "only its supernet was asked for")
        return result


@contextmanager
def at_work(
    study: StudyRecord,
    repository: Repository,
    home: Home,
    reporter: Reporter,
    stop: Stop = never,
    *,
    patience_s: float = 0.0,
) -> Iterator[StudyWork]:
    """A study whose supernet is trained, under its lock and with its weights: to retrain or export more points."""
    with (
        exclusively(home.study(study.id), study.name, patience_s),
        closing(open_work(study, repository, home, reporter, stop)) as work,
    ):
        train.restore_weights(work)
        yield work


def open_work(
    study: StudyRecord, repository: Repository, home: Home, reporter: Reporter, stop: Stop = never
) -> StudyWork:
    """The objects that stages work with, for a recorded study."""
    planned = plan(recorded_spec(study.spec, study.name), read_registered(home))
    work = StudyWork(plan=planned, study=study, repository=repository, home=home, reporter=reporter, stop=stop)
    check_data(work)  # refuses other data
    if planned.latencies:
        _ = work.timer  # refuses another device now, not after minutes of training
    return work


def _checked(study: StudyRecord, repository: Repository, home: Home, reporter: Reporter) -> StudyRecord:
    """The study, which nobody has begun, after what `submit` checks was checked here."""
    if any(stage.state != "pending" for stage in repository.stages(study.id)):
        return study
    device_id = _check(recorded_spec(study.spec, study.name), repository, home, reporter)
    return study if device_id is None else repository.set_study_device(study.id, device_id)


def _check(spec: StudySpec, repository: Repository, home: Home, reporter: Reporter) -> str | None:
    """Refuse what cannot be run on this machine; returns the device that it belongs to, if it times anything.

    Raises `SpecError`, `Unreachable` and `NotFound`.
    """
    planned = plan(spec, read_registered(home))
    open_teacher(planned)  # refuses one that does not answer for this task
    open_retrain_teacher(planned)
    open_pretrained(planned)  # and weights of another model
    device_id = register_this_device(repository) if planned.latencies else None
    if device_id is not None:
        _check_latency_bound(planned, repository, home, device_id, reporter)
    return device_id


@contextmanager
def _entered(study: StudyRecord, repository: Repository) -> Iterator[StudyRecord]:
    """Within, the study is running; where the block raises, the study's state and reason say so."""
    study = _enter(study, repository)
    try:
        # Around everything, so that a study whose task or family is gone fails with that reason.
        yield study
    except LeaseLost:
        raise  # another worker runs it: its state is no business of ours any more
    except (Interrupted, KeyboardInterrupt, StoreUnavailable) as interruption:
        with suppress(StoreUnavailable):  # the next run finds it running, and says that it was cut off
            repository.transition_study(study.id, "running", "interrupted", str(interruption) or "Ctrl-C")
        raise
    except Exception as error:
        known = exit_code(error) is not None
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        with suppress(StoreUnavailable):
            repository.transition_study(study.id, "running", "failed", reason)
        raise


def _enter(study: StudyRecord, repository: Repository) -> StudyRecord:
    """Bring a study to `running`; one that was left running by a killed process was interrupted."""
    state = repository.study(study.id).state
    if state == "running":
        repository.transition_study(study.id, "running", "interrupted", "its process ended without a word")
        state = "interrupted"
    return repository.transition_study(study.id, state, "running")


def _run_stages(work: StudyWork, stages: Sequence[Stage]) -> None:
    """Bring the first stages, or all, to their ends."""
    for position, (name, stage) in enumerate(stages, start=1):
        work.reporter.stage(name, position, len(STAGES))
        state = next(record.state for record in work.repository.stages(work.study.id) if record.name == name)
        if state == "complete":
            if name == "train":
                train.restore_weights(work)
            continue
        work.pause_if_asked()
        if state != "running":
            _move(work, name, state, "running")
        try:
            detail = stage(work)
        except LeaseLost:
            raise
        except (Interrupted, KeyboardInterrupt, StoreUnavailable):
            with suppress(StoreUnavailable):
                work.repository.transition_stage(work.study.id, name, "running", "pending")
            raise
        except Exception as error:
            with suppress(StoreUnavailable):
                work.repository.transition_stage(work.study.id, name, "running", "failed", {"reason": str(error)})
            raise
        _move(work, name, "running", "complete", detail)


def _move(
    work: StudyWork, stage: str, before: StageState, after: StageState, detail: Mapping[str, Any] | None = None
) -> None:
    """Change the state of a stage, waiting for the record where that is necessary."""
    work.commit(lambda: work.repository.transition_stage(work.study.id, stage, before, after, detail))


def _check_latency_bound(planned: Plan, repository: Repository, home: Home, device_id: str, reporter: Reporter) -> None:
    """Time the ends of the space: if the bounds lie beyond them, no training will help."""
    bounded = [metric for metric in planned.latencies if planned.bounds.get(metric, (None, None)) != (None, None)]
    if not bounded:
        return
    reporter.note(f"timing the smallest and the largest architecture against the bounds of {', '.join(bounded)}")
    timer = StudyTimer(repository, home, planned.spec.latencies, device_id)
    ends = [build_real(planned.build, architecture, planned.spec.seed) for architecture in _ends(planned.space)]
    try:
        for metric in bounded:
            times = [timer.time_workload(metric, planned.workload(module, metric)).p50_ms for module in ends]
            _check_reached(planned, metric, times)
    finally:
        timer.close()


def _check_reached(planned: Plan, metric: str, times: Sequence[float]) -> None:
    low, high = planned.bounds[metric]
    objective = planned.spec.latencies[metric]
    fastest, slowest = min(times), max(times)
    if (high is not None and fastest > high) or (low is not None and slowest < low):
        raise Unreachable(
            f"objectives.{metric}: the bounds cannot be met; on this machine the space reaches from {fastest:.4f} ms "
            f"(its smallest architecture) to {slowest:.4f} ms (its largest; batch {objective.batch}, "
            f"{objective.threads} threads). Change the bounds or the space's choices."
        )


def _ends(space: SearchSpace) -> list[Architecture]:
    """The smallest and the largest architecture; of several numbers of bits each, since fewer need not be faster."""
    bits = {value for name, choice in space.choices.items() if name.endswith(".bits") for value in choice.values}
    parts = [space.narrow({"*.bits": (value,)}) for value in bits] or [space]
    return [end for part in parts for end in (part.smallest(), part.largest())]
