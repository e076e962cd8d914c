"""Calls to a server: what is tried again and how, and which error a refusal becomes."""

from __future__ import annotations

import json
import ssl

import httpx2
import pytest

from runner.client.connection import segment
from runner.client.handles import study_from
from runner.errors import Conflict, NotFound, Refused, ServerFault, ServerUnreachable, exit_code
from tests.runner.client.scripts import TOKEN, Script, answer, job, problem, study

GONE = httpx2.ConnectError("Connection refused")
SILENT = httpx2.ReadTimeout("timed out")
CUT = httpx2.RemoteProtocolError("Server disconnected without sending a response.")


def test_a_call_shows_the_token_and_where_it_goes() -> None:
    script = Script(answer({"fine": True}))
    assert script.connection().get("/studies", limit=2, cursor=None) == {"fine": True}
    (request,) = script.asked
    assert script.lines == ["GET /api/v1/studies?limit=2"]
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"].startswith("supernaut/")


@pytest.mark.parametrize("failure", [GONE, SILENT, CUT, problem(503), problem(502), problem(504), problem(429)])
def test_what_passes_is_tried_again(failure: Exception | httpx2.Response) -> None:
    script = Script(failure, failure, answer({"fine": True}))
    assert script.connection().get("/studies") == {"fine": True}
    assert len(script.pauses) == 2


def test_pauses_grow_differ_and_are_bounded() -> None:
    script = Script(GONE)
    with pytest.raises(ServerUnreachable):
        script.connection(attempts=40, first_s=0.25, longest_s=8.0).get("/studies")
    assert len(script.asked) == 40
    assert all(pause <= 0.25 * 2**n for n, pause in enumerate(script.pauses))
    assert max(script.pauses) <= 8.0
    assert max(script.pauses[10:]) > 4.0
    assert len(set(script.pauses)) == len(script.pauses)


def test_a_server_that_says_when_to_come_again_is_waited_for() -> None:
    script = Script(
        problem(503, headers={"Retry-After": "5"}), problem(503, headers={"Retry-After": "9999"}), answer({})
    )
    script.connection(longest_asked_s=60.0).get("/studies")
    assert 5.0 <= script.pauses[0] < 6.0
    assert 60.0 <= script.pauses[1] < 61.0


def test_a_date_in_retry_after_is_no_error() -> None:
    script = Script(problem(503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), answer({}))
    script.connection().get("/studies")
    assert script.pauses[0] < 1.0


def test_one_key_for_all_attempts_of_a_submission_and_another_for_the_next() -> None:
    script = Script(CUT, problem(503), problem(409, headers={"Retry-After": "1"}), answer(job(), 202))
    one = study_from(study(), script.connection())
    one.start("export", "knee")
    keys = [request.headers["idempotency-key"] for request in script.asked]
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert len({request.content for request in script.asked}) == 1
    one.start("export", "knee")
    assert script.asked[-1].headers["idempotency-key"] not in keys


BUSY = problem(409, "The first request with this key is still being answered.", headers={"Retry-After": "1"})


@pytest.mark.parametrize("failure", [CUT, SILENT, BUSY, problem(502)])
def test_a_submission_that_may_have_been_heard_waits_until_the_server_is_started_again(
    failure: Exception | httpx2.Response,
) -> None:
    script = Script(failure, *[GONE] * 20, BUSY, answer(job(), 202))
    study_from(study(), script.connection()).start("export", "knee")
    assert len({request.headers["idempotency-key"] for request in script.asked}) == 1
    assert len(script.asked) == 23


def test_a_submission_to_a_server_that_was_there_before_waits_for_it() -> None:
    script = Script(answer(study()), *[GONE] * 20, answer(job(), 202))
    study_from(study(), script.connection()).refresh().start("export", "knee")
    assert len(script.asked) == 22


@pytest.mark.parametrize(("failure", "error"), [(GONE, ServerUnreachable), (BUSY, Conflict)])
def test_a_submission_is_given_up_at_last(failure: Exception | httpx2.Response, error: type[Exception]) -> None:
    script = Script(CUT, failure)
    with pytest.raises(error):
        study_from(study(), script.connection(patience_s=90.0, longest_s=8.0)).start("export", "knee")
    assert 90.0 <= sum(script.pauses) < 90.0 + 9.0


def test_nobody_waits_long_for_a_server_that_was_never_there() -> None:
    with pytest.raises(ServerUnreachable, match="tried 5 times"):
        study_from(study(), Script(GONE).connection()).start("export", "knee")


def test_nobody_waits_long_to_ask_what_can_be_asked_again() -> None:
    one = study_from(study(), Script(answer(study()), GONE).connection()).refresh()
    with pytest.raises(ServerUnreachable, match="tried 5 times"):
        one.refresh()


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (problem(400, "several studies begin with it"), 2, "several studies"),
        (problem(401, "This token is unknown."), 2, "$SUPERNAUT_TOKEN"),
        (problem(403, "the scope submit is needed"), 2, "scope submit"),
        (problem(404, "no such study"), 3, "no such study"),
        (httpx2.Response(404, text="<html>nginx</html>"), 3, "is it the address of a Supernaut server"),
        (problem(409, "choose another name"), 4, "another name"),
        (problem(410, "it is not in the artefact store"), 3, "artefact store"),
        (problem(412, "read it again"), 4, "read it again"),
        (problem(413, "too large"), 2, "too large"),
        (problem(421, "answers to localhost only"), 2, "localhost only"),
        (problem(422, "The study is not valid.", errors=[{"pointer": "/a", "message": "bad"}]), 2, "/a: bad"),
        (problem(428, "If-Match is required"), 2, "If-Match"),
        (problem(500, "Something went wrong"), 1, "request r1"),
        (problem(503, "The database is locked"), 5, "database is locked"),
        (httpx2.Response(503), 5, "503"),
        (httpx2.Response(301, headers={"Location": "https://evil.example/"}), 2, "elsewhere"),
        (httpx2.Response(200, text="<html>"), 1, "something else than JSON"),
        (GONE, 5, "supernaut serve"),
        (SILENT, 5, "timed out"),
    ],
)
def test_refusals_as_exit_codes(reply: httpx2.Response | Exception, code: int, words: str) -> None:
    script = Script(reply)
    with pytest.raises(ValueError) as raised:
        script.connection(attempts=3).get("/studies/x")
    assert exit_code(raised.value) == code
    assert words in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_what_cannot_get_better_is_asked_once() -> None:
    for status in (400, 401, 403, 404, 409, 412, 422, 500):
        script = Script(problem(status))
        with pytest.raises(ValueError):
            script.connection().get("/studies")
        assert len(script.asked) == 1, status


def test_too_many_jobs_is_a_conflict_and_no_outage() -> None:
    script = Script(problem(429, "50 jobs wait", code="too_many_jobs"))
    with pytest.raises(ValueError, match="50 jobs wait") as raised:
        script.connection().call("POST", "/studies/x/jobs", body={})
    assert exit_code(raised.value) == 4
    assert len(script.asked) == 1


def test_deleting_twice_because_an_answer_was_lost_is_deleting() -> None:
    script = Script(CUT, problem(404))
    study_from(study(), script.connection()).delete()
    assert script.lines == ["DELETE /api/v1/studies/" + "a" * 32] * 2
    with pytest.raises(NotFound):
        study_from(study(), Script(problem(404)).connection()).delete()


def test_many_problems_and_long_ones_are_cut() -> None:
    errors = [{"pointer": f"/{n}", "message": "x" * 400} for n in range(50)]
    with pytest.raises(Refused) as raised:
        Script(problem(422, "Not valid.", errors=errors)).connection().get("/x")
    assert len(str(raised.value)) <= 4000


def test_a_redirect_is_not_followed_with_the_token() -> None:
    script = Script(httpx2.Response(307, headers={"Location": "http://evil.example/"}))
    with pytest.raises(Refused):
        script.connection().get("/studies")
    assert len(script.asked) == 1


def test_a_proxy_sees_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy is set for all addresses, calls to loopback must not go to it."""
    from runner.client.connection import Connection
    from runner.client.finding import Server

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    here = Connection(Server(url="http://127.0.0.1:8000", token=TOKEN))
    there = Connection(Server(url="http://supernaut.example.org", token=TOKEN))
    try:
        assert [pattern for pattern, to in here._http._mounts.items() if to is not None] == []
        assert [pattern for pattern, to in there._http._mounts.items() if to is not None] != []
    finally:
        here.close()
        there.close()


@pytest.mark.parametrize(
    ("url", "verified"),
    [
        ("http://127.0.0.1:1", False),
        ("https://127.0.0.1:1", True),
        ("http://x.example", True),
        ("https://x.example", True),
    ],
)
def test_certificates_are_verified_wherever_there_may_be_any(url: str, verified: bool) -> None:
    from runner.client.connection import Connection
    from runner.client.finding import Server

    connection = Connection(Server(url=url, token=TOKEN))
    try:
        context = connection._http._transport._pool._ssl_context
        assert (context.verify_mode is ssl.CERT_REQUIRED) is verified
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_names_nothing_is_not_asked_for(name: str) -> None:
    with pytest.raises(NotFound):
        segment(name)


def test_a_name_stays_one_part_of_the_path() -> None:
    script = Script(answer(study()))
    from runner.client import Client

    with Client("http://127.0.0.1:8000", TOKEN, transport=httpx2.MockTransport(script)) as client:
        client.study("../../tokens?x=1#y")
    assert script.lines == ["GET /api/v1/studies/..%2F..%2Ftokens%3Fx%3D1%23y"]


def test_numbers_that_json_has_no_words_for_are_refused_here() -> None:
    with pytest.raises(Refused, match="JSON"):
        Script(answer({})).connection().call("POST", "/x", body={"a": float("nan")})


@pytest.mark.parametrize("document", [{}, [], None, {"id": 3}, study(revision="x"), study(created_at="yesterday")])
def test_documents_of_something_else_are_a_fault_of_the_server(document: object) -> None:
    with pytest.raises(ServerFault, match="another version"):
        study_from(document, Script(answer({})).connection())  # type: ignore[arg-type]


def test_json_is_sent_as_json() -> None:
    script = Script(answer(study()))
    study_from(study(), script.connection()).stop()
    assert json.loads(script.asked[0].content) == {"desired_state": "stopped"}
    assert script.asked[0].headers["content-type"] == "application/json"
