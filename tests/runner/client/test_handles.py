"""Studies and jobs: what is asked for, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

import runner
from runner.client import Client
from runner.client.handles import job_from, study_from
from runner.errors import Conflict, Refused, ServerFault, ServerUnreachable, SpecError, StudyFailed
from runner.study import load_study, parse_study
from supernet.errors import BundleError
from tests.integration.studies import TINY, write
from tests.runner.client.scripts import TIME, TOKEN, URL, Script, answer, job, problem, study

EVALUATION = {
    "id": 7,
    "sequence": 1,
    "digest": "d",
    "architecture": {"depth": 2, "mixer": "softmax"},
    "fidelity": "inherited",
    "seed": 0,
    "origin": "search",
    "state": "failed",
    "values": [],
    "failure": {"kind": "not_finite", "message": "nan"},
    "attempt": 1,
    "duration_ms": None,
    "created_at": TIME,
}


def client(script: Script) -> Client:
    return Client(URL, TOKEN, transport=httpx2.MockTransport(script))


def test_the_client_is_what_runner_exports() -> None:
    assert runner.Client is Client


@pytest.mark.parametrize("form", ["path", "text", "mapping", "specification"])
def test_a_study_is_submitted_as_it_was_written(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "tiny.json", TINY)
    spec = {"path": path, "text": str(path), "mapping": TINY, "specification": load_study(path)}[form]
    script = Script(answer(study(), 201))
    with client(script) as server:
        made = server.submit(spec)  # type: ignore[arg-type]
    assert (made.name, made.short_id, made.counts.all) == ("digits", "aaaaaaaa", 4)
    assert made.page == f"{URL}/studies/{'a' * 32}"
    sent = json.loads(script.asked[0].content)
    assert sent == {"spec": TINY}
    assert parse_study(sent["spec"], "sent").digest == load_study(path).digest


def test_a_wrong_study_is_not_sent(tmp_path: Path) -> None:
    script = Script(answer(study(), 201))
    with client(script) as server:
        with pytest.raises(SpecError, match="did you mean 'steps'"):
            server.submit({**TINY, "train": {"stepz": 1}})
        with pytest.raises(ValueError, match="there is no file"):
            server.submit(tmp_path / "absent.yaml")
    assert script.asked == []


def test_lists_are_read_page_by_page() -> None:
    script = Script(
        answer({"items": [study(name="a"), study(name="b")], "next_cursor": "c1"}),
        answer({"items": [study(name="c")], "next_cursor": None}),
    )
    with client(script) as server:
        found = server.studies(state="running", search="x y")
    assert [one.name for one in found] == ["a", "b", "c"]
    assert dict(script.asked[1].url.params) == {
        "limit": "500",
        "cursor": "c1",
        "state": "running",
        "search": "x y",
        "sort": "created_at",
    }


def test_evaluations_come_as_the_record_has_them() -> None:
    script = Script(answer({"items": [EVALUATION], "next_cursor": None}))
    (found,) = study_from(study(), script.connection()).evaluations(filter="state=failed")
    assert found.architecture_json == '{"depth":2,"mixer":"softmax"}'
    assert found.failure is not None
    assert (found.state, found.failure.kind) == ("failed", "not_finite")


def test_an_edit_names_the_revision_that_it_changes() -> None:
    script = Script(answer(study(notes="new", revision=4)))
    assert study_from(study(revision=3), script.connection()).edit(notes="new").revision == 4
    assert script.asked[0].headers["if-match"] == '"3"'
    assert json.loads(script.asked[0].content) == {"notes": "new"}


@pytest.mark.parametrize(("notes", "revision"), [("theirs", 4), ("mine", 5)])
def test_an_edit_that_somebody_else_was_quicker_with(notes: str, revision: int) -> None:
    script = Script(problem(412, "It was edited"), answer(study(notes=notes, revision=revision)))
    with pytest.raises(Conflict, match="edited"):
        study_from(study(revision=3), script.connection()).edit(notes="mine")


def test_an_edit_whose_answer_was_lost_was_made() -> None:
    lost = httpx2.RemoteProtocolError("disconnected")
    script = Script(lost, problem(412, "It was edited"), answer(study(tags=["a"], revision=4)))
    assert study_from(study(revision=3), script.connection()).edit(tags=["a"]).revision == 4


def test_a_job_is_waited_for() -> None:
    script = Script(
        answer(job(state="running", progress={"done": 1, "total": 2})),
        httpx2.ConnectError("refused"),
        answer(job(state="complete", result={"artifact": "c" * 32})),
    )
    seen: list[object] = []
    done = job_from(job(), script.connection()).wait(lambda now: seen.append(now.progress))
    assert done.result == {"artifact": "c" * 32}
    assert seen == [{"done": 1, "total": 2}, {}]


@pytest.mark.parametrize(
    ("ended", "error", "words"),
    [
        (job(state="failed", reason="out of memory"), StudyFailed, "out of memory"),
        (job(state="cancelled"), Conflict, "cancelled"),
    ],
)
def test_a_job_that_comes_to_nothing(ended: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        job_from(job(), Script(answer(ended)).connection()).wait()


def test_a_server_that_stays_away_while_a_job_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 60))
    monkeypatch.setattr("runner.client.handles.time.monotonic", lambda: float(next(clock)))
    with pytest.raises(ServerUnreachable):
        job_from(job(), Script(httpx2.ConnectError("refused")).connection()).wait()


def test_an_export_into_a_folder_of_something_else_is_refused_before_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    script = Script(answer(job(), 202))
    with pytest.raises(BundleError, match="something else"):
        study_from(study(), script.connection()).export(to=tmp_path)
    assert script.asked == []


def test_an_export_that_names_no_file() -> None:
    with pytest.raises(ServerFault, match="names no bundle"):
        job_from(job(state="complete"), Script(answer({})).connection()).unpack(Path("/nowhere"))


def test_pandas_is_needed_for_data_frames_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.client.front import front_from

    value = {"metric": "error", "value": 0.5, "provenance": "inherited", "lower": None, "upper": None}
    point = {
        "digest": "x",
        "evaluation_id": 1,
        "architecture": {"depth": 2},
        "values": [{**value, "device_id": None}],
        "later": {},
    }
    document = {"goals": {"error": "minimize"}, "points": [point], "others": [], "knee": None, "evaluated": 9}
    front = front_from(document)
    assert front.evaluated == 9
    assert front.rows()[0]["error"] == 0.5
    assert list(front.to_pandas()["error"]) == [0.5]
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(Refused, match="pip install pandas"):
        front.to_pandas()
