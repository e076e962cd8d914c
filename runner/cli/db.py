"""Verbs about the record itself: upgrading, checking, copying it and putting a copy in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.common import home_of, say
from runner.errors import FAILED

db = typer.Typer(no_args_is_help=True, help="The record of all studies: upgrade, check, back up, restore.")


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(db, name="db")


@db.command()
def upgrade(context: typer.Context) -> None:
    """Bring the record of an older version to this one's; all or nothing."""
    from runner.store import upgrade

    done = upgrade(home_of(context).database_url)
    if done.before == done.after:
        say(f"nothing to do: the record has revision {done.after}, the newest")
        return
    say(f"upgraded from revision {done.before} to {done.after}")
    if done.backup is not None:
        say(f"as it was before: {done.backup}")


@db.command()
def check(context: typer.Context) -> None:
    """Read the whole record and say whether it is as it must be; 6 where it is not."""
    from runner.store.upkeep import check

    found = check(home_of(context).database_url)
    say(f"{found.place}: revision {found.revision}")
    for problem in found.problems:
        say(f"PROBLEM  {problem}")
    if found.problems:
        raise typer.Exit(FAILED)
    say("whole")


@db.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to make; it must not exist.")],
) -> None:
    """Copy the record as it is at one moment; servers and workers go on."""
    from runner.errors import Conflict
    from runner.store import RecordExists
    from runner.store.upkeep import back_up

    try:
        made = back_up(home_of(context).database_url, file)
    except RecordExists as error:
        raise Conflict(str(error)) from error
    say(f"{made}: {made.stat().st_size:,} bytes")
    say("checkpoints, exported files and registered data are in the state folder: copy that too")


@db.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy made by `supernaut db backup`.")],
) -> None:
    """Make the record from a copy, where there is none yet; nothing is overwritten."""
    from runner.errors import Conflict, NotFound
    from runner.store import NotRecorded, RecordExists
    from runner.store.schema import newest_revision
    from runner.store.upkeep import restore

    try:
        revision = restore(home_of(context).database_url, file)
    except RecordExists as error:
        raise Conflict(str(error)) from error
    except NotRecorded as error:
        raise NotFound(str(error)) from error
    say(f"restored from {file}, revision {revision}")
    if revision != newest_revision():
        say("it was made by an older version: run `supernaut db upgrade`")
