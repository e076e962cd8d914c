"""Trainings on an executor that does what a test says: attempts, failures, stopping."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.errors import StudyFailed
from runner.fidelity.campaign import Campaign
from runner.fidelity.trainings import FAILED, TrainingJob, training_folder
from runner.search.outcome import Failure, Outcome
from search_spaces import Architecture

Answer = Mapping[str, Any] | Failure
ARCHITECTURES = [Architecture({"a": index}) for index in range(12)]
GOOD = {"error": 0.5}
LOST = Failure("worker_lost", "its worker died")
BROKEN = Failure("exception", "OSError: no space left")


@dataclass
class Played:
    """An executor with two places that answers by the architecture and the attempt."""

    answer: Callable[[Architecture, int], Answer]
    under_way: deque[tuple[Architecture, int]] = field(default_factory=deque)
    submitted: list[tuple[Architecture, int]] = field(default_factory=list)

    def free(self) -> int:
        return 2 - len(self.under_way)

    def submit(self, architecture: Architecture, attempt: int) -> None:
        assert self.free() > 0
        self.submitted.append((architecture, attempt))
        self.under_way.append((architecture, attempt))

    def collect(self, timeout_s: float) -> Outcome | None:
        if not self.under_way:
            return None
        architecture, attempt = self.under_way.popleft()
        answer = self.answer(architecture, attempt)
        failed = isinstance(answer, Failure)
        return Outcome(
            architecture=architecture,
            attempt=attempt,
            seconds=1.0,
            returned=None if failed else answer,
            failure=answer if failed else None,
        )

    def close(self) -> None: ...


@dataclass
class Notes:
    """What a campaign recorded."""

    entered: list[Architecture] = field(default_factory=list)
    failed: list[tuple[Architecture, str, str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def campaign(self, folder: Path, stop: Callable[[], bool] = lambda: False) -> Campaign:
        return Campaign(
            job=TrainingJob(spec="", name="s", folder=folder, stop_file=folder / "stop", steps=1, seed=1),
            enter=lambda scores, outcome: self.entered.append(outcome.architecture),
            fail=lambda *failure: self.failed.append(failure),
            stop=stop,
            note=self.told.append,
        )


def run(campaign: Campaign, played: Played, architectures: list[Architecture] = ARCHITECTURES[:4]) -> None:
    campaign.run(played, architectures)  # type: ignore[arg-type]


def test_all_are_trained_once_and_their_checkpoints_go(tmp_path: Path) -> None:
    notes, played = Notes(), Played(lambda architecture, attempt: GOOD)
    campaign = notes.campaign(tmp_path)
    kept = training_folder(campaign.job, ARCHITECTURES[0])
    kept.mkdir()
    run(campaign, played)
    assert notes.entered == ARCHITECTURES[:4]
    assert played.submitted == [(architecture, 1) for architecture in ARCHITECTURES[:4]]
    assert not kept.exists()
    assert not campaign.unfinished


def test_a_lost_worker_is_tried_again(tmp_path: Path) -> None:
    notes = Notes()
    played = Played(lambda architecture, attempt: LOST if architecture == ARCHITECTURES[1] and attempt < 3 else GOOD)
    run(notes.campaign(tmp_path), played)
    assert set(notes.entered) == set(ARCHITECTURES[:4])
    assert [attempt for architecture, attempt in played.submitted if architecture == ARCHITECTURES[1]] == [1, 2, 3]


def test_who_is_lost_again_and_again_is_set_aside(tmp_path: Path) -> None:
    notes = Notes()
    run(notes.campaign(tmp_path), Played(lambda a, attempt: LOST if a == ARCHITECTURES[1] else GOOD))
    ((architecture, kind, message, attempt),) = notes.failed
    assert (architecture, kind, attempt) == (ARCHITECTURES[1], "worker_lost", 3)
    assert "set aside after 3 attempts" in message


def test_what_diverges_fails_for_good(tmp_path: Path) -> None:
    notes = Notes()
    run(notes.campaign(tmp_path), Played(lambda a, attempt: {FAILED: "loss nan"} if a == ARCHITECTURES[2] else GOOD))
    assert notes.failed == [(ARCHITECTURES[2], "non_finite", "loss nan", 1)]
    assert len(notes.entered) == 3


def test_another_error_is_left_for_the_next_call(tmp_path: Path) -> None:
    notes = Notes()
    campaign = notes.campaign(tmp_path)
    run(campaign, Played(lambda a, attempt: BROKEN if a == ARCHITECTURES[2] else GOOD))
    assert campaign.unfinished == {ARCHITECTURES[2].digest: BROKEN.message}
    assert not notes.failed
    assert len(notes.entered) == 3
    assert "left for the next call" in notes.told[0]


def test_errors_one_after_another_end_it(tmp_path: Path) -> None:
    with pytest.raises(StudyFailed, match=r"10 trainings in a row failed; .* no space left"):
        run(Notes().campaign(tmp_path), Played(lambda a, attempt: BROKEN), ARCHITECTURES)


@pytest.mark.parametrize(("second", "kept"), [(GOOD, 2), (Failure("exception", "Stopped: after step 3"), 1)])
def test_who_is_asked_to_stop_winds_up(tmp_path: Path, second: Answer, kept: int) -> None:
    """What ends meanwhile is kept, what was cut off is no failure, and the file that asked is gone afterwards."""
    notes = Notes()
    asked: list[bool] = []
    campaign = notes.campaign(tmp_path, stop=lambda: bool(notes.entered))

    def answer(architecture: Architecture, attempt: int) -> Answer:
        asked.append(campaign.job.stop_file.exists())
        return second if architecture == ARCHITECTURES[1] else GOOD

    played = Played(answer)
    run(campaign, played)
    assert notes.entered == ARCHITECTURES[:kept]
    assert len(played.submitted) == 2
    assert asked == [False, True]
    assert not campaign.job.stop_file.exists()
    assert not notes.failed
    assert not campaign.unfinished


def test_a_stop_file_that_was_left_behind_stops_nothing(tmp_path: Path) -> None:
    notes = Notes()
    campaign = notes.campaign(tmp_path)
    campaign.job.stop_file.touch()
    run(campaign, Played(lambda a, attempt: GOOD if not campaign.job.stop_file.exists() else BROKEN))
    assert len(notes.entered) == 4
