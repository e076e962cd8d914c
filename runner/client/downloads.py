"""Bringing files from the server: whole, of the size and digest that were promised, or not at all."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING

from runner.client.connection import Connection, Interruption, segment
from runner.errors import ServerFault, ServerUnreachable

if TYPE_CHECKING:
    from pathlib import Path

    from runner.client.records import Artifact


def download(connection: Connection, artifact: Artifact, to: Path) -> None:
    """Write the content of an artefact to a new file; where the connection breaks off, the rest is asked for.

    Raises `ServerUnreachable` where the server stays away, `ServerFault` where what comes is something else.
    """
    path = f"/artifacts/{segment(artifact.id)}"
    failures = 0
    with to.open("xb") as file:
        while True:
            before = file.tell()
            try:
                _receive(connection, path, file, artifact)
                break
            except Interruption as error:
                failures = failures + 1 if file.tell() == before else 1
                if failures >= connection.retries.attempts:
                    raise ServerUnreachable(
                        f"the file {artifact.id} broke off at {file.tell():,} of {artifact.bytes:,} bytes, and "
                        f"{connection.server.url} does not go on with it: {error}. Ask for it again."
                    ) from error
                connection.sleep(connection.retries.pause_s(failures, connection.rng, error.asked_s))
    _check(to, artifact)


def _receive(connection: Connection, path: str, file: IO[bytes], artifact: Artifact) -> None:
    """Append what is missing.  Raises `Interruption` where less came."""
    had = file.tell()
    headers = {"Range": f"bytes={had}-"} if had else {}
    # Compressed on the way, a range would be one of the compressed bytes.
    with connection.stream(path, headers={"Accept": "*/*", "Accept-Encoding": "identity", **headers}) as response:
        if had and response.status_code != 206:  # the server begins anew
            file.seek(0)
            file.truncate()
        for chunk in response.iter_bytes():  # as they come: none is lost where it breaks off
            if file.tell() + len(chunk) > artifact.bytes:
                raise ServerFault(f"the file {artifact.id} is longer than the {artifact.bytes:,} bytes of its record.")
            file.write(chunk)
    if file.tell() < artifact.bytes:
        raise Interruption("it ended early")


def _check(path: Path, artifact: Artifact) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise ServerFault(
            f"the file {artifact.id} was damaged on its way or on the server: its SHA-256 is {found}, not "
            f"{artifact.sha256}. Export it again."
        )
