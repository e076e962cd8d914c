"""Where a verb finds studies: in the state folder, or on a server.  The one place that decides it.

Both give the same values, so a verb prints the same whichever it reads.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from runner.cli.common import home_of, open_record

if TYPE_CHECKING:
    from runner.client import Client, Study
    from runner.front import Front
    from runner.store.records import StageRecord
    from runner.store.repository import Repository

SERVER = "SUPERNAUT_SERVER"
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar=SERVER,
        metavar="URL",
        help="Ask this server, with the token in $SUPERNAUT_TOKEN.  Default: the state folder itself.",
    ),
]
WatchedServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar=SERVER,
        metavar="URL",
        help="The server, with the token in $SUPERNAUT_TOKEN.  Default: the one that runs on the state folder.",
    ),
]


class FoundStudy(Protocol):
    """What every verb may say of a study."""

    @property
    def id(self) -> str: ...
    @property
    def short_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...


class Source(Protocol):
    """Reads studies."""

    def studies(self) -> Sequence[FoundStudy]:
        """All that one may see, the oldest first."""
        ...

    def study(self, name_or_id: str) -> FoundStudy:
        """The study of this name, else the only one whose id begins like this."""
        ...

    def counts(self, study: FoundStudy) -> tuple[int, int]:
        """How many evaluations are recorded, and how many of them failed."""
        ...

    def stages(self, study: FoundStudy) -> Sequence[StageRecord]:
        """The stages, in order."""
        ...

    def front(self, study: FoundStudy, *, every: bool = False) -> Front:
        """The front and what was retrained beside it; with `every`, all that was evaluated."""
        ...


class RecordSource:
    """The record in the state folder."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def studies(self) -> Sequence[FoundStudy]:
        """See `Source`."""
        return self._repository.studies()

    def study(self, name_or_id: str) -> FoundStudy:
        """See `Source`."""
        return self._repository.study(name_or_id)

    def counts(self, study: FoundStudy) -> tuple[int, int]:
        """See `Source`."""
        counts = self._repository.study_counts([study.id])[study.id]
        return counts["complete"] + counts["failed"], counts["failed"]

    def stages(self, study: FoundStudy) -> Sequence[StageRecord]:
        """See `Source`."""
        return self._repository.stages(study.id)

    def front(self, study: FoundStudy, *, every: bool = False) -> Front:
        """See `Source`."""
        del every  # the record has it all
        from runner.front import read_front

        return read_front(self._repository.study(study.id), self._repository)


class ServerSource:
    """A server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def studies(self) -> Sequence[FoundStudy]:
        """See `Source`."""
        return self._client.studies()

    def study(self, name_or_id: str) -> FoundStudy:
        """See `Source`."""
        return self._client.study(name_or_id)

    def counts(self, study: FoundStudy) -> tuple[int, int]:
        """See `Source`."""
        counts = self._held(study).counts
        return counts.all, counts.failed

    def stages(self, study: FoundStudy) -> Sequence[StageRecord]:
        """See `Source`."""
        return self._held(study).stages()

    def front(self, study: FoundStudy, *, every: bool = False) -> Front:
        """See `Source`."""
        return self._held(study).front(every=every)

    def _held(self, study: FoundStudy) -> Study:
        from runner.client import Study

        return study if isinstance(study, Study) else self._client.study(study.id)


@contextmanager
def open_source(context: typer.Context, server: str | None) -> Iterator[Source]:
    """The server where one is named, else the state folder."""
    if server:
        with open_client(context, server) as client:
            yield ServerSource(client)
        return
    with open_record(context) as repository:
        yield RecordSource(repository)


def command_line(context: typer.Context, server: str | None, *words: str) -> str:
    """What to type next, so that it reaches the same place from any terminal."""
    from runner.service.commands import command_prefix

    said = " ".join(shlex.quote(word) for word in words)
    if not server:
        return f"{command_prefix(home_of(context).database)} {said}"
    return (
        f"supernaut {said}" if os.environ.get(SERVER) == server else f"supernaut {said} --server {shlex.quote(server)}"
    )


def server_of_study(context: typer.Context, server: str | None, study: str) -> str | None:
    """The server that has to do what is asked of a study; None: it is done here.

    The one that is named; else, for a study that workers may hold, the one that runs on the state folder.
    """
    if server:
        return server
    from runner.client.finding import running_url

    running = running_url(home_of(context))
    if running is None:
        return None
    with open_record(context) as repository:
        return None if repository.study(study).desired_state is None else running


@contextmanager
def open_client(context: typer.Context, server: str | None) -> Iterator[Client]:
    """The server that is named, else the one that runs on the state folder.  Raises `ServerUnreachable`."""
    from runner.client import Client

    with Client(server, home=home_of(context).path) as client:
        yield client
