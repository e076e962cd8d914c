"""Events: each once and in order, however often the stream breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx2
import pytest

from runner.client.events import follow
from runner.client.handles import study_from
from runner.errors import NotFound, ServerFault, ServerUnreachable
from tests.runner.client.scripts import Script, answer, event, problem, streaming, study

if TYPE_CHECKING:
    from runner.client.records import Event

CUT = httpx2.ReadError("connection reset")
GONE = httpx2.ConnectError("Connection refused")


def numbers(events: Iterator[Event | None], count: int) -> list[int]:
    """Of the first so many events."""
    found: list[int] = []
    for one in events:
        if one is not None:
            found.append(one.number)
        if len(found) == count:
            break
    return found


def asked_after(script: Script) -> list[str]:
    return [request.headers["last-event-id"] for request in script.asked]


def test_events_of_a_whole_stream() -> None:
    script = Script(streaming(": hello\n\n", event(4), event(7)))
    found = follow(script.connection(), "/events")
    first = next(found)
    assert first is None
    second = next(found)
    assert second is not None
    assert (second.number, second.kind, second.study_id) == (4, "study.state", "a" * 32)
    assert script.asked[0].headers["accept"] == "text/event-stream"


def test_a_stream_that_breaks_off_goes_on_after_the_last_event() -> None:
    script = Script(
        streaming(event(1), event(2), event(3)[:20], CUT),
        GONE,
        problem(503, headers={"Retry-After": "2"}),
        streaming(event(2), event(3)),  # a server may send again what it is not sure of
        streaming(event(4), event(5)),
    )
    assert numbers(follow(script.connection(), "/events"), 5) == [1, 2, 3, 4, 5]
    assert asked_after(script) == ["0", "2", "2", "2", "3"]
    assert len(script.pauses) == 4
    assert script.pauses[2] >= 2.0


def test_a_listener_begins_where_it_is_told() -> None:
    script = Script(streaming(event(8), event(9)))
    assert numbers(follow(script.connection(), "/events", after=8), 1) == [9]
    assert asked_after(script) == ["8"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_however_the_bytes_are_cut(size: int) -> None:
    text = ": sign\n\n" + event(1, reason="läuft weiter 🛰") + event(2).replace("\n", "\r\n")
    parts = [text[place : place + size] for place in range(0, len(text), size)]
    found = follow(Script(streaming(*parts)).connection(), "/events")
    told = [one for one in (next(found), next(found), next(found)) if one is not None]
    assert [one.number for one in told] == [1, 2]
    assert told[0].payload == {"reason": "läuft weiter 🛰"}


def test_data_over_several_lines_and_fields_that_nobody_knows() -> None:
    document = event(1).splitlines()[2].removeprefix("data: ")
    half = document.index(",") + 1
    text = f"retry: 10\nfoo: bar\ndata:{document[:half]}\ndata: {document[half:]}\nnothing\n\n"
    assert numbers(follow(Script(streaming(text)).connection(), "/events"), 1) == [1]


def test_a_server_that_stays_away_ends_it() -> None:
    clock = iter(range(0, 10_000, 50))
    script = Script(streaming(event(1)), GONE)
    notes: list[str] = []
    found = follow(
        script.connection(), "/events", patience_s=300.0, note=notes.append, clock=lambda: float(next(clock))
    )
    assert next(found) is not None
    with pytest.raises(ServerUnreachable, match="has not answered for 300 s"):
        next(found)
    assert len(notes) == 1
    assert "trying again" in notes[0]


def test_an_outage_that_ends_is_told_and_forgotten() -> None:
    clock = iter(range(0, 10_000, 50))
    script = Script(*[streaming(": here\n\n"), GONE, GONE] * 5, streaming(event(1)))
    notes: list[str] = []
    found = follow(
        script.connection(), "/events", patience_s=300.0, note=notes.append, clock=lambda: float(next(clock))
    )
    assert numbers(found, 1) == [1]
    assert len(notes) == 10


def test_a_study_that_was_deleted_meanwhile() -> None:
    script = Script(streaming(event(1)), problem(404, "no such study"))
    found = follow(script.connection(), "/events")
    next(found)
    with pytest.raises(NotFound):
        next(found)


@pytest.mark.parametrize("text", ["data: no json\n\n", "data: {}\n\n", "data: [1]\n\n", f"data: {'x' * 1_100_000}\n"])
def test_events_of_something_else(text: str) -> None:
    with pytest.raises(ServerFault):
        next(follow(Script(streaming(text)).connection(), "/events"))


# Watching


def test_watching_ends_with_the_study() -> None:
    script = Script(
        answer(study()),
        streaming(
            event(1, to="running"), event(2, "stage.state", stage="train", to="running"), event(3, to="complete")
        ),
        answer(study()),
        answer(study(state="complete", finished_at="2026-01-01T01:00:00Z")),
    )
    heard: list[str] = []
    done = study_from(study(), script.connection()).watch(lambda one: heard.append(one.kind))
    assert done.state == "complete"
    assert heard == ["study.state", "stage.state", "study.state"]


def test_all_events_of_a_study_that_ended_meanwhile_are_heard() -> None:
    script = Script(
        answer(study()),
        streaming(event(1, to="running"), event(2, "a.note"), event(3, "a.note"), event(4, to="complete"), event(5)),
        answer(study(state="complete")),
    )
    heard: list[int] = []
    study_from(study(), script.connection()).watch(lambda one: heard.append(one.number))
    assert heard == [1, 2, 3, 4]


def test_watching_what_is_over_waits_for_nothing() -> None:
    script = Script(answer(study(state="failed", reason="no data")))
    done = study_from(study(), script.connection()).watch()
    assert (done.state, done.reason) == ("failed", "no data")
    assert len(script.asked) == 1


def test_watching_goes_on_while_another_worker_will_take_it() -> None:
    script = Script(
        answer(study()),
        streaming(event(1, to="interrupted"), event(2, to="running"), event(3, to="interrupted")),
        answer(study(state="interrupted")),
        answer(study()),
        answer(study(state="interrupted", desired_state="stopped")),
    )
    done = study_from(study(), script.connection()).watch()
    assert done.is_over
    assert len(script.asked) == 5


def test_signs_of_life_are_enough_to_notice_the_end() -> None:
    signs = streaming(": here\n\n", ": here\n\n", ": here\n\n")
    script = Script(answer(study()), signs, answer(study()), answer(study(state="complete")))
    assert study_from(study(), script.connection()).watch().state == "complete"


def test_events_that_are_late_are_heard() -> None:
    """The study is seen to be over before the event that says so has come."""
    script = Script(
        answer(study()),
        streaming(": here\n\n", event(1, "a.note"), event(2, to="complete"), event(3, "a.note")),
        answer(study(state="complete")),
    )
    heard: list[int] = []
    study_from(study(), script.connection()).watch(lambda one: heard.append(one.number))
    assert heard == [1, 2]


def test_watching_survives_a_server_that_restarts() -> None:
    script = Script(
        answer(study()),
        streaming(event(1, to="running"), CUT),
        answer(study()),
        GONE,
        GONE,
        problem(503),
        streaming(event(2, to="complete")),
        GONE,
        answer(study(state="complete")),
    )
    notes: list[str] = []
    done = study_from(study(), script.connection()).watch(note=notes.append)
    assert done.state == "complete"
    assert "trying again" in notes[0]
    assert notes[1] == "the server answers again"


def test_looking_at_a_study_while_the_server_is_away_does_not_end_the_watching() -> None:
    script = Script(
        *[GONE] * 3,
        streaming(event(1, to="running"), event(2, to="complete")),
        *[GONE] * 6,
        streaming(": here\n\n", ": here\n\n"),
        answer(study(state="complete")),
    )
    connection = script.connection(attempts=3)
    assert study_from(study(), connection).watch().state == "complete"
