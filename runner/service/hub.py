"""Events for those who listen: one reader of the record a process, and a bounded queue for each listener.

The reader looks only while somebody listens.  A listener that does not keep up is dropped and goes on later from the
last number that it saw; nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from runner.service.limits import MAX_LISTENERS
from runner.service.problems import Problem
from runner.store import NotRecorded, StoreError

if TYPE_CHECKING:
    from runner.service.record import Record
    from runner.store import EventRecord

_QUEUE = 256  # events that wait for one listener
_PAGE = 200  # events in one read
_OWNERS = 10_000  # studies whose owner is remembered
_PAUSE_S = 1.0  # after the record could not be read


@dataclass(eq=False)
class Listener:
    """Somebody who wants the events of one study, or of all studies of an owner, or of all."""

    owner: str | None
    study_id: str | None
    queue: asyncio.Queue[EventRecord] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Brings the events of the record to listeners.  Everything in it runs in one event loop."""

    def __init__(self, record: Record, *, poll_s: float) -> None:
        self._record = record
        self._poll_s = poll_s
        self._listeners: set[Listener] = set()
        self._reader: asyncio.Task[None] | None = None
        self._owners: dict[str, str | None] = {}
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def listening(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def is_reading(self) -> bool:
        """Whether the record is being looked at."""
        return self._reader is not None and not self._reader.done()

    def close(self) -> None:
        """End every stream; what has not been sent is sent to those who come back."""
        self._closed = True
        for listener in list(self._listeners):
            listener.ended.set()

    def close_soon(self) -> None:
        """The same, from a signal handler or another thread."""
        if self._loop is None:
            self._closed = True
        else:
            self._loop.call_soon_threadsafe(self.close)

    def check_room(self) -> None:
        """Raise `Problem` where one more would be too many."""
        if self._closed or len(self._listeners) >= MAX_LISTENERS:
            raise Problem("too_many_listeners", "Ask again in a minute, or poll.", headers={"Retry-After": "60"})

    async def listen(
        self, *, owner: str | None, study_id: str | None, after: int | None, heartbeat_s: float, life_s: float
    ) -> AsyncIterator[EventRecord | int | None]:
        """The events above `after`, each once and in order; first the number that they follow.

        None stands for a time without events.  Without `after`, only what happens from now on.  Ends where the study is
        gone, the listener is too slow, the server ends, or after `life_s`.  Raises `StoreError` before anything else.
        """
        self._loop = asyncio.get_running_loop()
        last = await run_in_threadpool(self._newest) if after is None else after
        listener = Listener(owner, study_id)
        self._listeners.add(listener)
        try:
            if self._reader is None or self._reader.done():
                start = await run_in_threadpool(self._newest)
                if self._reader is None or self._reader.done():
                    self._reader = asyncio.create_task(self._read(start))
            yield last
            # What was recorded before the reader began to fill the queue; what is in both is left out below.
            async for event in self._recorded(listener, last):
                yield event
                last = event.number
            end = asyncio.get_running_loop().time() + life_s
            while not listener.ended.is_set() and asyncio.get_running_loop().time() < end:
                event_or_none = await self._next(listener, heartbeat_s)
                if event_or_none is None:
                    if listener.ended.is_set() or not await run_in_threadpool(self._exists, study_id):
                        return
                    yield None
                elif event_or_none.number > last:
                    yield event_or_none
                    last = event_or_none.number
        finally:
            self._listeners.discard(listener)

    async def _recorded(self, listener: Listener, after: int) -> AsyncIterator[EventRecord]:
        def page(number: int) -> tuple[EventRecord, ...]:
            return self._record.repository().events_after(
                number, owner=listener.owner, study_id=listener.study_id, limit=_PAGE
            )

        while True:
            events = await run_in_threadpool(page, after)
            for event in events:
                yield event
                after = event.number
            if len(events) < _PAGE:
                return

    async def _next(self, listener: Listener, heartbeat_s: float) -> EventRecord | None:
        """The next event; None after a while without one, or at the listener's end."""
        with suppress(asyncio.QueueEmpty):
            return listener.queue.get_nowait()
        getting = asyncio.ensure_future(listener.queue.get())
        ending = asyncio.ensure_future(listener.ended.wait())
        try:
            await asyncio.wait((getting, ending), timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            ending.cancel()

    async def _read(self, after: int) -> None:
        """Hand out new events until nobody listens any more."""
        while self._listeners:
            try:
                events = await run_in_threadpool(self._new, after)
            except StoreError:  # the listeners' heartbeats go on, and so does this when the record is back
                await asyncio.sleep(_PAUSE_S)
                continue
            for event, owner in events:
                after = event.number
                for listener in list(self._listeners):
                    if listener.study_id in (None, event.study_id) and listener.owner in (None, owner):
                        self._give(listener, event)
            if len(events) < _PAGE:
                await asyncio.sleep(self._poll_s)

    def _give(self, listener: Listener, event: EventRecord) -> None:
        try:
            listener.queue.put_nowait(event)
        except asyncio.QueueFull:
            listener.ended.set()
            self._listeners.discard(listener)

    def _new(self, after: int) -> list[tuple[EventRecord, str | None]]:
        """New events with the owner of their study; None where that was deleted meanwhile."""
        repository = self._record.repository()
        found = []
        for event in repository.events_after(after, limit=_PAGE):
            if event.study_id not in self._owners:
                if len(self._owners) >= _OWNERS:
                    self._owners.clear()
                try:
                    study = repository.study(event.study_id)
                    self._owners[event.study_id] = study.owner if study.id == event.study_id else None
                except NotRecorded:
                    self._owners[event.study_id] = None
            found.append((event, self._owners[event.study_id]))
        return found

    def _newest(self) -> int:
        return self._record.repository().last_event_number()

    def _exists(self, study_id: str | None) -> bool:
        if study_id is None:
            return True
        try:
            return self._record.repository().study(study_id).id == study_id
        except NotRecorded:
            return False
        except StoreError:
            return True  # nobody knows; the stream stays open and silent
