"""Verbs about models: retrain, export; here, or by the workers of a server."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from runner.cli.common import ArchitectureArgument, StudyArgument, home_of, open_record, say
from runner.cli.source import ServerOption, command_line, open_client, server_of_study
from runner.cli.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.client import Job, Study
    from runner.front import Front
    from runner.store.records import EvaluationRecord
    from runner.work import StudyWork

_Picked = TypeVar("_Picked")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (retrain, export):
        app.command()(verb)


def retrain(
    context: typer.Context,
    study: StudyArgument,
    architectures: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCHITECTURE",
            help="'knee', 'ends' (the best of the front in each objective), or beginnings of digests.",
        ),
    ],
    server: ServerOption = None,
) -> None:
    """Train architectures of a study on their own, as its retrain section says."""
    from runner.front import NAMED_POINTS, choose

    asked = server_of_study(context, server, study)
    if asked is not None:
        with open_client(context, asked) as client:
            found = client.study(study)
            points = choose(found.front(every=not set(architectures) <= set(NAMED_POINTS)), architectures)
            digests = [point.architecture.digest for point in points]
            _wait_for([found.start("retrain", digest) for digest in digests])
            records = list(found.evaluations(filter="fidelity=retrained"))
    else:
        from runner.stages.retrain import retrain_points

        with _at_work(context, study, lambda front: choose(front, architectures)) as (work, picked):
            digests = retrain_points(work, picked)
            records = [record for record in work.evaluations() if record.fidelity == "retrained"]
    _print_retrained(digests, records)
    say(f"write files with: {command_line(context, server, 'export', study, digests[0], '--to', 'DIR')}")


def export(
    context: typer.Context,
    study: StudyArgument,
    architecture: ArchitectureArgument,
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to write.  Default: inside the study's folder; from a server, STUDY-DIGEST."),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(help="What to write besides onnx; may be given several times.  Default: what the study says."),
    ] = None,
    server: ServerOption = None,
) -> None:
    """Write one architecture as a verified bundle; retrains it first if that was not done."""
    from runner.front import NAMED_POINTS, choose_one

    asked = server_of_study(context, server, study)
    if asked is not None:
        with open_client(context, asked) as client:
            found = client.study(study)
            digest = choose_one(found.front(every=architecture not in NAMED_POINTS), architecture).architecture.digest
            usual = Path(f"{found.name}-{digest}") if server else home_of(context).study(found.id) / "bundles" / digest
            folder = _export_from(found, digest, to or usual, format)
    else:
        from runner.stages.export import default_folder, export_point

        with _at_work(context, study, lambda front: choose_one(front, architecture)) as (work, point):
            folder = export_point(work, point.architecture, to or default_folder(work, point.architecture), format)
    say(f"wrote {folder}")
    say(f"check it anywhere with: supernaut verify {folder}")


def _print_retrained(digests: Sequence[str], records: Sequence[EvaluationRecord]) -> None:
    by_digest = {record.digest: record for record in records}
    for digest in digests:
        for value in by_digest[digest].values:
            say(f"{digest} {value.metric} {value.value:.4f} ({value.provenance}, validation)")


def _export_from(study: Study, digest: str, folder: Path, formats: Sequence[str] | None) -> Path:
    """Let a worker export, and bring the bundle here."""
    from supernet.export.drafts import refuse_foreign

    folder = folder.resolve()
    refuse_foreign(folder)
    (job,) = _wait_for([study.start("export", digest, formats=formats)])
    return job.unpack(folder)


def _wait_for(jobs: Sequence[Job]) -> list[Job]:
    """The jobs when they are complete.  Ctrl-C cancels them."""
    from runner.cli.progress import following
    from runner.errors import Interrupted, RunnerError

    try:
        with following() as reporter:
            done = []
            for position, job in enumerate(jobs, start=1):
                reporter.stage(f"{job.kind} {job.payload.get('point', '')}", position, len(jobs))
                done.append(job.wait(Telling(reporter).job))
            return done
    except KeyboardInterrupt:
        for job in jobs:
            with suppress(RunnerError):  # one that is over, or a server that is gone, is no news now
                job.cancel()
        raise Interrupted("cancelled on the server; what was trained is kept, and the same command goes on") from None


@contextmanager
def _at_work(
    context: typer.Context, study: str, pick: Callable[[Front], _Picked]
) -> Iterator[tuple[StudyWork, _Picked]]:
    """A trained study under its lock, with what `pick` takes from its front."""
    from runner.cli.progress import following, stop_on_signals
    from runner.front import read_front
    from runner.pipeline import at_work
    from runner.process import settle

    settle()
    home = home_of(context)
    with open_record(context) as repository:
        record = repository.study(study)
        picked = pick(read_front(record, repository))
        with (
            stop_on_signals() as stop,
            following() as reporter,
            at_work(record, repository, home, reporter, stop) as work,
        ):
            yield work, picked
