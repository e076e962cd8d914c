"""The client: the studies of a server, found, submitted and handed out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from runner.client.connection import KEY, Connection, segment
from runner.client.finding import find_server
from runner.client.handles import Study, pages, study_from
from runner.errors import NotFound
from runner.settings import Home
from runner.study import StudySpec, load_study, parse_study

if TYPE_CHECKING:
    import httpx2

    from runner.client.retries import Retries

StudySort = Literal["-created_at", "created_at", "name", "-name", "-updated_at", "updated_at"]


class Client:
    """Studies on a server.

    `url` and `token` default to $SUPERNAUT_SERVER and $SUPERNAUT_TOKEN, else to the server that runs on the state
    folder `home` and the token kept there.  `timeout_s` is how long one answer may take.  Use as a context manager,
    or leave it to end with its last study.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        home: Path | None = None,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        server = find_server(url, token, Home.find(home))
        self._connection = Connection(server, timeout_s=timeout_s, retries=retries, transport=transport)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._connection.server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """End the connections to the server; studies of this client can no longer be asked."""
        self._connection.close()

    def submit(self, spec: Path | str | Mapping[str, Any] | StudySpec) -> Study:
        """Send a study: the path of a study file, its content, or a specification.  Workers of the server run it.

        Raises `SpecError` or `Refused` for what is no study or not allowed there, `Conflict` for a name that is taken.
        """
        if isinstance(spec, StudySpec):
            checked = spec
        elif isinstance(spec, Mapping):
            checked = parse_study(spec, "the specification")
        else:
            checked = load_study(Path(spec))
        # What is not written is left to the server, whose defaults it will run with.
        body = {"spec": checked.model_dump(mode="json", exclude_unset=True)}
        key = {KEY: uuid.uuid4().hex}
        return study_from(self._connection.call("POST", "/studies", body=body, headers=key).document, self._connection)

    def study(self, name_or_id: str) -> Study:
        """The study of this name, else the only one whose id begins like this.  Raises `NotFound`."""
        try:
            document = self._connection.get(f"/studies/{segment(name_or_id)}")
        except NotFound as error:
            raise NotFound(f"{name_or_id!r} on {self.url}: {error}") from error  # the server repeats no name
        return study_from(document, self._connection)

    def studies(
        self, *, state: str | None = None, search: str | None = None, sort: StudySort = "created_at"
    ) -> tuple[Study, ...]:
        """All studies that the token may see: those in a state, or whose name holds `search`."""
        found = pages(self._connection, "/studies", state=state, search=search, sort=sort)
        return tuple(study_from(document, self._connection) for document in found)
