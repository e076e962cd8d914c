"""Streams of events: each event once, in order, also over interruptions; nobody waits for anybody."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runner.service import hub
from runner.service.app import create_app
from tests.runner.service.callers import ADMIN, ANNA, BORIS
from tests.runner.service.streams import PATIENCE_S, Stream, in_a_loop_of_its_own
from tests.runner.service.studies import create_study

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from runner.service.settings import ServiceSettings
    from runner.store import Repository

ALL = "/api/v1/events"
DIGITS = "/api/v1/studies/digits/events"


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    in_a_loop_of_its_own(test())


async def until(true: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


def tell(repository: Repository, count: int, study: str = "digits") -> list[int]:
    study_id = repository.study(study).id
    return [repository.add_event(study_id, "test", {"n": index}).number for index in range(count)]


def test_a_study_s_stream_begins_with_what_was_and_goes_on(service: FastAPI, digits: Repository) -> None:
    async def test() -> None:
        recorded = [event.number for event in digits.events(digits.study("digits").id)]
        async with Stream(service, DIGITS, ADMIN.headers) as stream:
            first = await stream.block()
            assert first == "retry: 2000\nid: 0"
            assert await stream.numbers(len(recorded)) == recorded
            assert stream.status == 200
            told = await asyncio.to_thread(tell, digits, 3)
            block = await stream.block()
            assert block is not None
            assert block.startswith(f"id: {told[0]}\ndata: ")
            document = json.loads(block.partition("data: ")[2])
            assert (document["number"], document["kind"], document["payload"]) == (told[0], "test", {"n": 0})
            assert await stream.numbers(2) == told[1:]
        assert service.state.service.hub.listening == 0

    run(test)


@pytest.mark.parametrize("how", ["header", "query", "both"])
def test_who_comes_back_misses_nothing_and_hears_nothing_twice(service: FastAPI, digits: Repository, how: str) -> None:
    async def test() -> None:
        told = tell(digits, 10)
        seen: list[int] = []
        last = told[0] - 1
        while len(seen) < 25:
            headers = {**ADMIN.headers, **({} if how == "query" else {"last-event-id": str(last)})}
            query = "" if how == "header" else f"after={last if how == 'query' else 0}"
            async with Stream(service, DIGITS, headers, query) as stream:
                more = await asyncio.to_thread(tell, digits, 5)
                told += more
                seen += await stream.numbers(4)
            last = seen[-1]
        assert seen == told[: len(seen)]

    run(test)


def test_events_told_while_a_stream_begins_come_once(service: FastAPI, digits: Repository) -> None:
    """The queue and the record overlap here: the writer is never still."""

    async def test() -> None:
        writing = asyncio.create_task(asyncio.to_thread(tell, digits, 150))
        streams = [Stream(service, DIGITS, ADMIN.headers) for _ in range(4)]
        before = len(digits.events(digits.study("digits").id))
        for stream in streams:
            await stream.__aenter__()
        told = await writing
        for stream in streams:
            numbers = await stream.numbers(before)
            while numbers[-1] != told[-1]:
                numbers += await stream.numbers(1)
            assert numbers == [event.number for event in digits.events(digits.study("digits").id)]
            await stream.__aexit__()

    run(test)


def test_all_studies_are_heard_from_now_on_and_only_one_s_own(service: FastAPI, repository: Repository) -> None:
    async def test() -> None:
        for owner in ("anna", "boris"):
            repository.create_study(name=f"of-{owner}", spec="{}", spec_digest="d", seed=0, owner=owner)
        async with (
            Stream(service, ALL, ANNA.headers) as hers,
            Stream(service, ALL, BORIS.headers) as his,
            Stream(service, ALL, ADMIN.headers) as every,
        ):
            for stream in (hers, his, every):
                block = await stream.block()
                assert block is not None
                assert block.endswith(f"id: {repository.last_event_number()}")
            await until(lambda: service.state.service.hub.listening == 3)
            (one,) = tell(repository, 1, "of-anna")
            (two,) = tell(repository, 1, "of-boris")
            assert await hers.numbers(1) == [one]
            assert await his.numbers(1) == [two]
            assert await every.numbers(2) == [one, two]

    run(test)


def test_nobody_reads_while_nobody_listens(service: FastAPI, digits: Repository) -> None:
    async def test() -> None:
        its = service.state.service.hub
        assert not its.is_reading
        async with Stream(service, DIGITS, ADMIN.headers) as stream:
            await stream.block()
            assert its.is_reading
        await until(lambda: not its.is_reading)
        tell(digits, 1)

    run(test)


def test_a_silent_stream_shows_signs_of_life(settings: ServiceSettings, digits: Repository) -> None:
    async def test() -> None:
        app = create_app(replace(settings, heartbeat_s=0.02))
        query = f"after={digits.last_event_number()}"
        async with Stream(app, DIGITS, ADMIN.headers, query) as stream:
            assert [await stream.block() for _ in range(3)][1:] == [": still here"] * 2

    run(test)


def test_a_stream_ends_with_its_study_or_its_life(settings: ServiceSettings, digits: Repository) -> None:
    async def test() -> None:
        app = create_app(replace(settings, heartbeat_s=0.02))
        query = f"after={digits.last_event_number()}"
        async with Stream(app, DIGITS, ADMIN.headers, query) as stream:
            await stream.block()
            await asyncio.to_thread(digits.delete_study, digits.study("digits").id)
            while await stream.block() is not None:
                pass
        create_study(digits, "digits")
        short = create_app(replace(settings, heartbeat_s=0.02, stream_life_s=0.05))
        async with Stream(short, DIGITS, ADMIN.headers) as stream:
            while await stream.block() is not None:
                pass

    run(test)


def test_a_slow_reader_is_dropped_alone_and_goes_on_where_it_was(
    service: FastAPI, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_QUEUE", 4)
    monkeypatch.setattr(hub.Listener.__dataclass_fields__["queue"], "default_factory", lambda: asyncio.Queue(4))

    async def test() -> None:
        its = service.state.service.hub
        query = f"after={digits.last_event_number()}"
        async with (
            Stream(service, DIGITS, ADMIN.headers, query) as quick,
            Stream(service, DIGITS, ADMIN.headers, query) as slow,
        ):
            for stream in (quick, slow):
                await stream.block()
            slow.reading = False
            told = []
            for _ in range(12):
                told += await asyncio.to_thread(tell, digits, 1)
                assert await quick.numbers(1) == told[-1:]
            await until(lambda: its.listening == 1)
            slow.resume()
            seen = []
            while (block := await slow.block()) is not None:
                if "data: " in block:
                    seen.append(int(block.partition("id: ")[2].split("\n")[0]))
            assert seen == told[: len(seen)]
            assert len(seen) < len(told)
        last = seen[-1] if seen else told[0] - 1
        async with Stream(service, DIGITS, {**ADMIN.headers, "last-event-id": str(last)}) as again:
            assert await again.numbers(len(told) - len(seen)) == told[len(seen) :]

    run(test)


@pytest.mark.slow
def test_two_hundred_listeners_hold_no_thread(service: FastAPI, digits: Repository, client: TestClient) -> None:
    async def test() -> None:
        query = f"after={digits.last_event_number()}"
        streams = [Stream(service, DIGITS, ADMIN.headers, query) for _ in range(200)]
        for stream in streams:
            await stream.__aenter__()
        for stream in streams:
            await stream.block()
        assert service.state.service.hub.listening == 200
        told = await asyncio.to_thread(tell, digits, 2)
        for stream in streams:
            assert await stream.numbers(2) == told
        answer = await asyncio.to_thread(client.get, "/api/v1/studies")
        assert answer.status_code == 200
        await asyncio.gather(*(stream.__aexit__() for stream in streams))
        assert service.state.service.hub.listening == 0

    run(test)


def test_too_many_listeners_are_asked_to_come_later(
    service: FastAPI, client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    del digits
    monkeypatch.setattr(hub, "MAX_LISTENERS", 0)
    answer = client.get(DIGITS)
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_listeners")
    assert answer.headers["retry-after"] == "60"
    assert service.state.service.hub.listening == 0


def test_a_server_that_ends_lets_its_listeners_go(service: FastAPI, digits: Repository) -> None:
    async def test() -> None:
        async with Stream(service, DIGITS, ADMIN.headers, f"after={digits.last_event_number()}") as stream:
            await stream.block()
            service.state.service.hub.close_soon()
            assert await stream.block() is None
        async with Stream(service, DIGITS, ADMIN.headers) as stream:
            await until(lambda: stream.status != 0)
            assert stream.status == 503

    run(test)


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 30, "\u0661"])
def test_what_is_no_number_of_an_event_is_refused(client: TestClient, digits: Repository, given: str) -> None:
    del digits
    assert client.get(DIGITS, headers={"last-event-id": given.encode()}).status_code == 400
    assert client.get(DIGITS, params={"after": given}).status_code == 422
    assert client.get("/api/v1/studies/nobody/events").status_code == 404
