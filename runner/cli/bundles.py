"""Verbs about bundles, which need no study here: verify, reproduce."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import Output, OutputOption, emit, home_of, open_record, print_table, say

if TYPE_CHECKING:
    from runner.reproduce import Reproduction

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that `export` wrote.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (verify, reproduce):
        app.command()(verb)


def verify(
    context: typer.Context,
    folder: BundleArgument,
    latency: Annotated[
        bool, typer.Option(help="Also time the model, if this is the device it was measured on.")
    ] = True,
    quality: Annotated[bool, typer.Option(help="Also score it on the test split, if the task's data is here.")] = True,
    study: Annotated[
        str | None, typer.Option(help="The study whose task it is scored on.  Default: as the manifest says.")
    ] = None,
    run_code: Annotated[bool, typer.Option("--run-code", help="Also run formats that come as code.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """Check a bundle: digests, ONNX files, outputs, scores, latency.  A latency outside its interval is flagged."""
    from runner.errors import CheckFailed
    from runner.study import recorded_spec
    from runner.verify import Scope, examine

    asked = None
    if study is not None:
        with open_record(context) as repository:
            record = repository.study(study)
        asked = recorded_spec(record.spec, record.name)
    scope = Scope(latency=latency, quality=quality, run_code=run_code, study=asked)
    checks = []
    for check in examine(folder, home_of(context), scope):
        checks.append(check)
        if output is Output.table and check.state != "failed":
            state = "" if check.state == "ok" else f"{check.state}: "
            say(f"{check.check:<16} {state}{check.found}")
    failed = [check for check in checks if check.state == "failed"]
    if output is Output.json:
        document = {"bundle": str(folder), "verified": not failed, "checks": [asdict(check) for check in checks]}
        print(json.dumps(document, indent=2))
    elif output is Output.csv:
        emit([asdict(check) for check in checks], output)
    if failed:
        raise CheckFailed("\n".join(f"{check.check}: {check.found}" for check in failed))
    if output is Output.table:
        say("verified")


def reproduce(
    context: typer.Context,
    folder: BundleArgument,
    to: Annotated[Path | None, typer.Option(help="Where the new bundle goes.  Default: its study's folder.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the new study.  Default: the bundle's, with -again- and the architecture.")
    ] = None,
    output: OutputOption = Output.table,
) -> None:
    """Make a bundle again from its manifest, and compare.

    Trains the supernet again from the recorded specification and seed, trains the architecture on from it with the
    settings that were chosen, and exports it, as a new study in the state folder (--home gives another).  The search
    is not repeated.  On the same machine with the same versions weights come out bit by bit; elsewhere error,
    accuracy and eer may differ by three standard deviations of a difference of two samples, other scores by 10 %.
    Data with another checksum and missing extensions are refused.
    """
    from runner.cli.progress import following, stop_on_signals
    from runner.errors import CheckFailed

    with open_record(context) as repository:
        from runner.process import settle
        from runner.reproduce import reproduce as make_again

        settle()
        with stop_on_signals() as stop, following() as reporter:
            found = make_again(folder, repository, home_of(context), reporter, stop, name=name, to=to)
    if output is Output.csv:
        emit([{**asdict(score), "within": score.within} for score in found.scores], output)
    elif output is Output.json:
        print(json.dumps(_document(found), indent=2))
    else:
        _print(found)
    if not found.reproduced:
        wrong = ", ".join(f"{score.metric} ({score.split})" for score in found.scores if not score.within)
        raise CheckFailed(f"the bundle was not reproduced: scores differ by more than is allowed, {wrong}.")


def _document(found: Reproduction) -> dict[str, object]:
    return {
        **asdict(found),
        "folder": str(found.folder),
        "scores": [{**asdict(score), "within": score.within} for score in found.scores],
        "reproduced": found.reproduced,
    }


def _print(found: Reproduction) -> None:
    print_table(
        [
            {**asdict(score), "allowed": f"+- {score.allowed:.4f}", "within": "yes" if score.within else "NO"}
            for score in found.scores
        ]
    )
    say()
    say(f"weights    {'equal, bit by bit' if found.bit_equal else 'not bit-equal'}")
    say(f"device     {'the same' if found.same_device else 'another one'}")
    for name, (before, now) in found.differing.items():
        say(f"differs    {name}: {before} made the bundle, here it is {now}")
    say(f"bundle     {found.folder}")
    say(f"study      {found.study}, whose search was left out: supernaut resume {found.study}")
    if found.reproduced:
        say("reproduced")
