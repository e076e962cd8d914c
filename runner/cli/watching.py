"""Verbs about studies that workers of a server run: submit, watch, cancel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import Output, OutputOption, StudyArgument, emit, say
from runner.cli.fronts import print_front
from runner.cli.source import WatchedServerOption, command_line, open_client
from runner.cli.telling import Telling

if TYPE_CHECKING:
    from runner.client import Study


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (submit, watch, cancel):
        app.command()(verb)


def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A study file, YAML or JSON.")],
    follow: Annotated[bool, typer.Option("--watch", help="Follow it until it is over, like the verb watch.")] = False,
    output: OutputOption = Output.table,
    server: WatchedServerOption = None,
) -> None:
    """Send a study to a server, whose workers run it; prints its id and its page."""
    with open_client(context, server) as client:
        study = client.submit(file)
        if output is Output.table:
            say(f"submitted {study.name} ({study.short_id})")
            say(f"  page       {study.page}")
            if not follow:
                say(f"  follow it  {command_line(context, server, 'watch', study.name)}")
        else:
            emit([{"name": study.name, "id": study.id, "state": study.state, "page": study.page}], output)
        sys.stdout.flush()
        if follow:
            _follow(context, server, study)


def watch(context: typer.Context, study: StudyArgument, server: WatchedServerOption = None) -> None:
    """Follow a study on a server until it is over, then print its front; Ctrl-C leaves the study running."""
    with open_client(context, server) as client:
        _follow(context, server, client.study(study))


def cancel(context: typer.Context, study: StudyArgument, server: WatchedServerOption = None) -> None:
    """Stop a study on a server at the next safe point; what it measured is kept, and resume goes on with it."""
    with open_client(context, server) as client:
        found = client.study(study)
        if found.state == "complete":
            say(f"study {found.name} ({found.short_id}) is complete already")
            return
        found = found.stop()
    state = "is stopped" if found.is_over else "stops at its next safe point"
    say(f"study {found.name} ({found.short_id}) {state}")
    say(f"go on with: {command_line(context, server, 'resume', found.name)}")


def _follow(context: typer.Context, server: str | None, study: Study) -> None:
    """Watch a study.  Raises `StudyFailed` where it failed, `Interrupted` where it, or the watching, was stopped."""
    from runner.cli.progress import following
    from runner.errors import Interrupted, StudyFailed

    again = command_line(context, server, "watch", study.name)
    stages = [stage.name for stage in study.stages()]
    try:
        with following() as reporter:
            if not study.is_over:
                reporter.note(f"watching {study.name}, which is {study.state}; Ctrl-C leaves it to itself")
            study = study.watch(Telling(reporter, stages).event, note=reporter.note)
    except KeyboardInterrupt:
        stop = command_line(context, server, "cancel", study.name)
        raise Interrupted(
            f"the study {study.name} goes on without you watching. Watch again: {again}; stop it: {stop}"
        ) from None
    if study.state == "failed":
        raise StudyFailed(f"the study {study.name} failed: {study.reason or 'no reason was recorded'}")
    if study.state != "complete":
        raise Interrupted(
            f"the study {study.name} is {study.state}{f' ({study.reason})' if study.reason else ''}. Go on with: "
            f"{command_line(context, server, 'resume', study.name)}"
        )
    _print_result(context, server, study)


def _print_result(context: typer.Context, server: str | None, study: Study) -> None:
    found = study.front()
    print_front(found)
    chosen = found.knee.architecture.digest if found.knee else "ARCHITECTURE"
    say()
    say("look further:")
    for words, purpose in (
        (("show", study.name, chosen), "the architecture, layer by layer"),
        (("front", study.name, "--output", "csv"), "the front as data"),
        (("export", study.name, chosen, "--to", "DIR"), "its files, verified"),
    ):
        say(f"  {command_line(context, server, *words):<48} {purpose}")
    say(f"  {study.page}")
