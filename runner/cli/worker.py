"""`supernaut worker`: runs what was submitted."""

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli.common import home_of


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(worker)


def worker(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="How lists of workers call it.  Default: the name of this machine.")] = "",
) -> None:
    """Run submitted studies and jobs, one at a time, until Ctrl-C."""
    from runner.workers.running import run_worker

    run_worker(home_of(context), name)
