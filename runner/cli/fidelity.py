"""The verb about trust in shared weights: fidelity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.common import Output, OutputOption, StudyArgument, emit, home_of, open_record, print_table, say

if TYPE_CHECKING:
    from runner.fidelity.report import FidelityReport
    from runner.fidelity.run import Measured
    from runner.fidelity.settings import FidelitySettings


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(fidelity)


def fidelity(
    context: typer.Context,
    study: StudyArgument,
    architectures: Annotated[int, typer.Option(help="How many, spread over what the space costs.")] = 40,
    repeats: Annotated[int, typer.Option(help="Trainings of each, with different seeds; 1 gives no ceiling.")] = 2,
    repeated: Annotated[
        int | None, typer.Option(help="Only so many get more than one training.  Default: all.", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Of a training alone.  Default: the supernet's.", show_default=False)
    ] = None,
    retrained: Annotated[bool, typer.Option("--retrained", help="Also train them on from shared weights.")] = False,
    exported: Annotated[bool, typer.Option("--exported", help="Also export the retrained ones, score files.")] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so long; the same command goes on.", show_default=False)
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="auto, serial or a number.  Default: the study's.", show_default=False)
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is compared.  Default: the study's first score.", show_default=False)
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the scores into this SVG file.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """Train architectures alone and say how far the ranking by shared weights may be trusted."""
    from runner.errors import StudyFailed
    from runner.fidelity.settings import FidelitySettings

    settings = FidelitySettings(
        architectures=architectures,
        repeats=repeats,
        repeated=repeated,
        steps=steps,
        retrained=retrained,
        exported=exported,
        minutes=minutes,
        workers=_workers(workers),
        metric=metric,
    )
    name, measured = _measure(context, study, settings)
    if picture is not None:
        from runner.dashboard.fidelity_picture import fidelity_svg
        from runner.dashboard.plot import write_svg

        write_svg(picture, fidelity_svg(name, measured.report))
    _print_report(measured.report, output)
    if measured.unfinished:
        digest, reason = next(iter(measured.unfinished.items()))
        raise StudyFailed(
            f"{len(measured.unfinished)} trainings could not be done, and the same command tries them again; the "
            f"first, of {digest}: {reason}"
        )


def _measure(context: typer.Context, study: str, settings: FidelitySettings) -> tuple[str, Measured]:
    from runner.cli.progress import following, stop_on_signals

    with open_record(context) as repository:
        record = repository.study(study)
        from runner.fidelity.run import check_trained, measure_fidelity
        from runner.locking import exclusively
        from runner.pipeline import open_work
        from runner.process import settle

        settle()
        home = home_of(context)
        check_trained(record, repository)
        with (
            exclusively(home.study(record.id), record.name),
            stop_on_signals() as stop,
            following() as reporter,
        ):
            work = open_work(record, repository, home, reporter, stop)
            try:
                return record.name, measure_fidelity(work, settings)
            finally:
                work.close()


def _workers(given: str | None) -> Any:
    """What the option says.  Raises `SpecError`."""
    from runner.errors import SpecError

    if given in (None, "auto", "serial"):
        return given
    try:
        return int(given)
    except ValueError:
        raise SpecError(f"--workers {given}: give auto, serial or a whole number.") from None


def _print_report(report: FidelityReport, output: Output) -> None:
    """The report: in sentences and two tables, as one JSON object, or its architectures as CSV."""
    if output is Output.json:
        print(json.dumps(report.to_json(), indent=2))
    elif output is Output.csv:
        emit(_architecture_rows(report), output)
    else:
        _print_words(report)


def _print_words(report: FidelityReport) -> None:
    from runner.fidelity.words import COLUMNS, sentences, table_rows

    say()
    for sentence in sentences(report):
        say(sentence)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table_rows(report)]
    if rows:
        say()
        print_table(rows)
        say()
        say("In brackets: 90 % intervals, bootstrapped over the architectures.")
    say("Every score: --output csv; all numbers: --output json; a picture: --picture FILE, or the study's page.")


def _architecture_rows(report: FidelityReport) -> list[dict[str, Any]]:
    return [
        {
            "architecture": one.digest,
            report.cost: one.cost,
            **{f"{report.metric}_{kind}": getattr(one, kind) for kind in ("inherited", "retrained", "exported")},
            **{f"{report.metric}_alone_{seed}": score for seed, score in zip(report.seeds, one.alone, strict=True)},
        }
        for one in report.architectures
    ]
