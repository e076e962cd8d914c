"""Verbs about models: retrain, export, verify."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import ArchitectureArgument, StudyArgument, home_of, open_record, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.front import Point
    from runner.work import StudyWork


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (retrain, export, verify):
        app.command()(verb)


def retrain(context: typer.Context, study: StudyArgument, architecture: ArchitectureArgument) -> None:
    """Train one architecture of a study on its own, taught by the largest one."""
    from runner.stages.retrain import retrain_point

    with _at_work(context, study, architecture) as (work, point):
        retrain_point(work, point.architecture)
        digest = point.architecture.digest
        (record,) = [r for r in work.evaluations() if r.digest == digest and r.fidelity == "retrained"]
    for value in record.values:
        say(f"{value.metric} {value.value:.4f} ({value.provenance}, validation)")
    say(f"write its files with: supernaut export {study} {digest} --to DIR")


def export(
    context: typer.Context,
    study: StudyArgument,
    architecture: ArchitectureArgument,
    to: Annotated[Path | None, typer.Option(help="The folder to write.  Default: inside the study's folder.")] = None,
    format: Annotated[str, typer.Option(help="What to write; 'onnx' in this version.")] = "onnx",
) -> None:
    """Write one architecture as a verified bundle; retrains it first if that was not done."""
    from runner.errors import SpecError
    from runner.stages.export import default_folder, export_point

    if format != "onnx":
        raise SpecError(f"--format {format}: unknown format; allowed: onnx.")
    with _at_work(context, study, architecture) as (work, point):
        folder = export_point(work, point.architecture, to or default_folder(work, point.architecture))
    say(f"wrote {folder}")
    say(f"check it anywhere with: supernaut verify {folder}")


def verify(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder that `export` wrote.")],
    latency: Annotated[
        bool, typer.Option(help="Also time the model, if this is the device it was measured on.")
    ] = True,
) -> None:
    """Check a bundle again: digests, the ONNX file, its outputs, its latency."""
    from runner.verify import verify_latency
    from supernet.export.bundle import verify_bundle

    checked = verify_bundle(folder)
    say(f"digests   {checked.files} files as they were written")
    say("model     a valid ONNX file")
    say(
        f"parity    {checked.parity.samples} sample outputs, largest difference "
        f"{checked.parity.largest_difference:.1e}, no decision changed"
    )
    say(f"latency   {verify_latency(folder, checked.manifest, home_of(context)) if latency else 'not timed'}")
    say("verified")


@contextmanager
def _at_work(context: typer.Context, study: str, architecture: str) -> Iterator[tuple[StudyWork, Point]]:
    """A trained study under its lock, with the point that was named."""
    from runner.cli.progress import following, stop_on_signals
    from runner.front import choose, read_front
    from runner.pipeline import exclusively, open_work
    from runner.stages.train import restore_weights

    home = home_of(context)
    with open_record(context) as repository:
        record = repository.study(study)
        (point,) = choose(read_front(record, repository), [architecture])
        with (
            exclusively(home.study(record.id), record.name),
            stop_on_signals() as stop,
            following() as reporter,
        ):
            work = open_work(record, repository, home, reporter, stop)
            try:
                restore_weights(work)
                yield work, point
            finally:
                work.close()
