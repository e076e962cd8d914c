"""What a study at work holds, and that it lets go of all of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.study import parse_study
from runner.work import StudyWork, worker_count


def at_work(ended: list[str]) -> StudyWork:
    def record(name: str) -> Any:
        return lambda *_: ended.append(name)

    parts: Any = SimpleNamespace(
        spec=None, id="s", study=lambda _: Path("nowhere"), release=record("reservations"), note=print
    )
    work = StudyWork(plan=parts, study=parts, repository=parts, home=parts, reporter=parts)
    vars(work)["timer"] = SimpleNamespace(close=record("timer"))
    return work


def test_nothing_is_left_although_the_workers_cannot_be_ended() -> None:
    ended: list[str] = []
    work = at_work(ended)

    def gone() -> None:
        raise RuntimeError("Ray is gone")

    vars(work)["executor"] = SimpleNamespace(close=gone)
    with pytest.raises(RuntimeError, match="Ray is gone"):
        work.close()
    assert ended == ["reservations", "timer"]
    work.close()  # the executor is forgotten: closing again does not fail again


@pytest.mark.parametrize(("cores", "asked", "expected"), [(4, "auto", 4), (1, "auto", "serial"), (4, 3, 3), (1, 2, 2)])
def test_one_worker_a_core_unless_a_number_is_given(
    monkeypatch: pytest.MonkeyPatch, cores: int, asked: object, expected: object
) -> None:
    monkeypatch.setattr("runner.work.usable_cores", lambda: cores)
    study = {
        "name": "a",
        "task": {"name": "digits"},
        "space": {"name": "vision_transformer"},
        "objectives": {"error": {}},
        "search": {"workers": asked},
    }
    assert worker_count(parse_study(study, "test")) == expected
