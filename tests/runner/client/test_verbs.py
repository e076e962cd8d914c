"""Verbs against a real server: they print what they print of the state folder, and end with the documented codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.cli.completing import study_names
from runner.client import Client, Event, Study
from runner.store import open_repository
from tests.integration.studies import ROOT, TINY, write
from tests.runner.service.studies import create_study, record_failure

if TYPE_CHECKING:
    from runner.settings import Home
    from tests.runner.client.conftest import Call


@pytest.mark.parametrize("output", ["table", "json", "csv"])
@pytest.mark.parametrize(
    "verb",
    ["list", "status digits", "status later", "front digits", "front digits --all", "front later", "show digits knee"],
)
def test_a_server_is_read_like_the_state_folder(ask: Call, shared_url: str, verb: str, output: str) -> None:
    here = ask(*verb.split(), "--output", output)
    there = ask(*verb.split(), "--output", output, "--server", shared_url)
    assert here.code == 0
    assert here.out or (verb, output) == ("front later", "csv")  # no rows, no columns
    assert there == here


def test_an_architecture_off_the_front_and_its_picture(call: Call, url: str, home: Home, tmp_path: Path) -> None:
    rows = json.loads(call("front", "digits", "--all", "-o", "json").out)
    other = rows[-1]["architecture"]
    assert not rows[-1]["on_front"]
    assert call("show", "digits", other[:9], "--server", url) == call("show", "digits", other[:9])
    pictures = [tmp_path / "here.svg", tmp_path / "there.svg"]
    call("front", "digits", "--picture", pictures[0])
    call("front", "digits", "--picture", pictures[1], "--server", url)
    assert pictures[0].read_text() == pictures[1].read_text()


def test_more_points_off_the_front_than_one_answer_holds(home: Home, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.client.handles._MOST_OTHERS", 5)
    monkeypatch.setattr("runner.client.handles.PAGE", 7)
    with Client(home=home.path) as client:
        front = client.study("digits").front(every=True)
    with open_repository(home.database) as repository:
        from runner.front import read_front

        kept = read_front(repository.study("digits"), repository)
    assert (front.points, front.others, front.evaluated) == (kept.points, kept.others, 40)


def test_the_environment_names_the_server(
    call: Call, url: str, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = call("list", "-o", "json")
    monkeypatch.setenv("SUPERNAUT_SERVER", url)
    monkeypatch.setenv("SUPERNAUT_TOKEN", (home.path / "token").read_text().strip())
    monkeypatch.setenv("SUPERNAUT_HOME", str(tmp_path / "elsewhere"))
    assert call("list", "-o", "json").out == kept.out
    assert not (tmp_path / "elsewhere").exists()


# Submitting, stopping, going on


def test_submitting_prints_the_id_and_the_page(call: Call, url: str, home: Home, tmp_path: Path) -> None:
    answer = call("submit", write(tmp_path / "s.json", TINY))
    assert answer.code == 0, answer.err
    with open_repository(home.database) as repository:
        study = repository.study("tiny")
    assert (study.state, study.desired_state, study.owner) == ("created", "running", "local")
    assert f"submitted tiny ({study.short_id})" in answer.out
    assert f"{url}/studies/{study.id}" in answer.out
    assert f"--home {home.path} watch tiny" in answer.out
    again = call("submit", tmp_path / "s.json", "-o", "json", "--server", url)
    assert again.code == 4
    assert "another name" in again.err
    other = call("submit", write(tmp_path / "t.json", {**TINY, "name": "other"}), "-o", "json", "--server", url)
    assert [row["name"] for row in json.loads(other.out)] == ["other"]


def test_cancel_and_resume(call: Call, url: str, tmp_path: Path) -> None:
    call("submit", write(tmp_path / "s.json", TINY))
    stopped = call("cancel", "tiny")
    assert "study tiny" in stopped.out
    assert "is stopped" in stopped.out
    assert json.loads(call("list", "-o", "json").out)[-1]["state"] == "interrupted"
    assert call("watch", "tiny").code == 130
    going_on = call("resume", "tiny", "--server", url)
    assert going_on.code == 0
    assert f"watch tiny --server {url}" in going_on.out
    assert "complete already" in call("cancel", "digits").out
    assert call("resume", "digits", "--server", url).code == 4


def test_deleting_on_a_server_asks_too(call: Call, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    kept = call("delete", "digits", "--server", url)
    assert "42 evaluations" in kept.out
    assert "nothing was deleted" in kept.out
    assert call("delete", "digits", "--yes", "--server", url).out == "deleted digits\n"
    assert call("status", "digits").code == 3


def test_watching_a_complete_study_prints_its_front(call: Call, url: str, home: Home) -> None:
    answer = call("watch", "digits")
    assert answer.code == 0
    assert call("front", "digits").out in answer.out
    assert f"--home {home.path} show digits" in answer.out
    assert f"watch digits --server {url}" not in answer.out


def test_watching_a_study_until_it_fails(call: Call, url: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else runs and fails it while it is watched, in the record that the server reads."""
    threads: list[threading.Thread] = []
    events = Study.events

    def events_and_run(study: Study, **options: Any) -> Iterator[Event | None]:
        for event in events(study, **options):
            if not threads:  # not before it is listened to: a study that is over is not watched
                threads.append(threading.Thread(target=run))
                threads[0].start()
            yield event

    def run() -> None:
        with open_repository(home.database) as repository:
            study = repository.study("later")
            repository.transition_study(study.id, "created", "running")
            repository.transition_stage(study.id, "train", "pending", "running")
            repository.add_event(
                study.id, "stage.progress", {"stage": "train", "done": 3, "total": 10, "detail": "loss"}
            )
            repository.add_event(study.id, "note", {"stage": "train", "message": "slow\x1b[2J"})
            record_failure(repository, study, "loss is nan")
            repository.transition_stage(study.id, "train", "running", "failed")
            repository.transition_study(study.id, "running", "failed", "the \x1b[31mdata\x1b]0;x\x07 is gone")

    monkeypatch.setattr("runner.client.handles.Study.events", events_and_run)
    answer = call("watch", "later")
    threads[0].join()
    assert answer.code == 6
    for words in ("[1/6] train", "3/10  loss", "slow[2J", "the stage train is failed"):
        assert words in answer.err
    assert "the study later failed: the [31mdata]0;x is gone" in answer.err
    assert "\x1b" not in answer.err + answer.out


def test_leaving_a_study_says_that_it_goes_on(call: Call, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.client.handles.Study.watch", interrupted)
    answer = call("watch", "later", "--server", url)
    assert answer.code == 130
    assert "goes on without you" in answer.err
    assert f"supernaut cancel later --server {url}" in answer.err


# Codes


def test_without_a_server(call: Call, tmp_path: Path) -> None:
    file = write(tmp_path / "s.json", TINY)
    for arguments in (("submit", file), ("watch", "digits"), ("cancel", "digits")):
        answer = call(*arguments)
        assert answer.code == 5
        assert "supernaut serve" in answer.err
        assert not answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("status nothing", 3, "'nothing' on http://127.0.0.1"),
        ("watch nothing", 3, "No study"),
        ("front ..", 3, ".."),
        ("show digits ffffffff", 3, "the front holds"),
        ("show digits ends", 2, "names"),
        ("list --server ftp://x", 2, "http://HOST:PORT"),
        ("front later -o xml", 2, "xml"),
    ],
)
def test_exit_codes(
    ask: Call, shared_url: str, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, words: str
) -> None:
    monkeypatch.setenv("SUPERNAUT_SERVER", shared_url)
    answer = ask(*arguments.split())
    assert answer.code == code
    assert words in answer.err


def test_a_token_that_is_not_known(ask: Call, shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERNAUT_TOKEN", f"sn_{'0' * 16}_{'x' * 43}")
    answer = ask("list", "--server", shared_url)
    assert answer.code == 2
    assert "did not accept the token" in answer.err
    assert "xxx" not in answer.err


def test_a_wrong_study_is_told_with_fields(ask: Call, shared_url: str, tmp_path: Path) -> None:
    answer = ask("submit", write(tmp_path / "s.json", {**TINY, "train": {"stepz": 1}}))
    assert answer.code == 2
    assert "train.stepz: there is no such field; did you mean 'steps'?" in answer.err
    path = {**TINY, "task": {"name": "images", "data": "/etc/passwd"}}
    refused = ask("submit", write(tmp_path / "s.json", path))
    assert refused.code == 2
    assert "never a path" in refused.err


def test_names_never_reach_the_terminal_raw(call: Call, url: str, home: Home) -> None:
    evil = "evil\x1b]0;title\x07\u202e[red]"
    with open_repository(home.database) as repository:
        create_study(repository, "digits-2")
        repository.create_study(name=evil, spec="{}", spec_digest="d", seed=0)
    for output in ("table", "csv"):
        for answer in (call("list", "-o", output), call("list", "-o", output, "--server", url)):
            assert "evil]0;title[red]" in answer.out
            assert not {"\x1b", "\x07", "\u202e"} & set(answer.out)


# Completion


@pytest.mark.slow
def test_names_of_studies_are_completed(finished: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['supernaut']; from runner.cli.main import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "_SUPERNAUT_COMPLETE": "complete_bash",
            "COMP_WORDS": f"supernaut --home {finished} status di",
            "COMP_CWORD": "4",
        },
    )
    assert (done.stdout.split(), done.stderr) == (["digits"], "")
    assert study_names(finished, "") == ["later", "digits"]
    assert study_names(finished, "x") == []


def test_completing_makes_no_record_and_says_nothing(tmp_path: Path) -> None:
    assert study_names(tmp_path / "new", "") == []
    assert not (tmp_path / "new").exists()
    (tmp_path / "supernaut.db").write_text("this is no database " * 100)
    assert study_names(tmp_path, "") == []
