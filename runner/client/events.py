"""The stream of events: how it is read, and how it goes on where it broke off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from runner.client.connection import Interruption
from runner.client.records import Event, event_from
from runner.errors import ServerFault, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.client.connection import Connection

SILENCE_S = 60.0  # the server says that it is there every few seconds; after this long it is not
LONGEST_EVENT = 1_000_000  # characters

Note = Callable[[str], None]


def follow(
    connection: Connection,
    path: str,
    *,
    after: int = 0,
    patience_s: float = 300.0,
    note: Note | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event | None]:
    """The events at a path whose number is above `after`, each once, as they happen; it does not end by itself.

    None stands for a sign of life.  Where the stream breaks off it goes on after the last event; `note` is told.
    Raises `ServerUnreachable` where that did not succeed for `patience_s`.
    """
    failures = 0
    lost_at: float | None = None
    while True:
        try:
            with connection.stream(
                path,
                headers={"Accept": "text/event-stream", "Last-Event-ID": str(after)},
                silence_s=SILENCE_S,
            ) as response:
                for event in _events(response.iter_lines()):
                    if lost_at is not None and note is not None:
                        note("the server answers again")
                    failures, lost_at = 0, None
                    if event is None:
                        yield None
                    elif event.number > after:
                        after = event.number
                        yield event
                interruption = Interruption("the server ended the stream")
        except Interruption as error:
            interruption = error
        now = clock()
        failures += 1
        if lost_at is None:
            lost_at = now
        elif now - lost_at >= patience_s:
            raise ServerUnreachable(
                f"{connection.server.url} has not answered for {now - lost_at:.0f} s: {interruption}. Studies go on "
                "without it; watch again when it is back."
            ) from interruption
        if failures == 2 and note is not None:  # the first time is often a server that restarts, or a proxy
            note(f"the server does not answer ({interruption}); trying again")
        connection.sleep(connection.retries.pause_s(failures, connection.rng, interruption.asked_s))


def _events(lines: Iterable[str]) -> Iterator[Event | None]:
    """Events from the lines of a stream of server-sent events; None for comments, which keep it alive."""
    data: list[str] = []
    size = 0
    for line in lines:
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
                size += len(value)
            if size > LONGEST_EVENT:
                raise ServerFault(f"an event of the server is longer than {LONGEST_EVENT:,} characters.")
        elif data:
            yield _event("\n".join(data))
            data, size = [], 0


def _event(text: str) -> Event | None:
    try:
        return event_from(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ServerFault(f"an event of the server is no JSON: {error}.") from error
