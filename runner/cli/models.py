"""Verbs about models: retrain, export."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from runner.cli.common import ArchitectureArgument, StudyArgument, home_of, open_record, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.front import Front
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
) -> None:
    """Train architectures of a study on their own, as its retrain section says."""
    from runner.front import choose
    from runner.stages.retrain import retrain_points

    with _at_work(context, study, lambda front: choose(front, architectures)) as (work, points):
        digests = retrain_points(work, points)
        records = {record.digest: record for record in work.evaluations() if record.fidelity == "retrained"}
    for digest in digests:
        for value in records[digest].values:
            say(f"{digest} {value.metric} {value.value:.4f} ({value.provenance}, validation)")
    say(f"write files with: supernaut export {study} {digests[0]} --to DIR")


def export(
    context: typer.Context,
    study: StudyArgument,
    architecture: ArchitectureArgument,
    to: Annotated[Path | None, typer.Option(help="The folder to write.  Default: inside the study's folder.")] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(help="What to write besides onnx; may be given several times.  Default: what the study says."),
    ] = None,
) -> None:
    """Write one architecture as a verified bundle; retrains it first if that was not done."""
    from runner.front import choose_one
    from runner.stages.export import default_folder, export_point

    with _at_work(context, study, lambda front: choose_one(front, architecture)) as (work, point):
        folder = export_point(work, point.architecture, to or default_folder(work, point.architecture), format)
    say(f"wrote {folder}")
    say(f"check it anywhere with: supernaut verify {folder}")


@contextmanager
def _at_work(
    context: typer.Context, study: str, pick: Callable[[Front], _Picked]
) -> Iterator[tuple[StudyWork, _Picked]]:
    """A trained study under its lock, with what `pick` takes from its front."""
    from runner.cli.progress import following, stop_on_signals
    from runner.front import read_front
    from runner.pipeline import exclusively, open_work
    from runner.stages.train import restore_weights

    home = home_of(context)
    with open_record(context) as repository:
        record = repository.study(study)
        picked = pick(read_front(record, repository))
        with (
            exclusively(home.study(record.id), record.name),
            stop_on_signals() as stop,
            following() as reporter,
        ):
            work = open_work(record, repository, home, reporter, stop)
            try:
                restore_weights(work)
                yield work, picked
            finally:
                work.close()
