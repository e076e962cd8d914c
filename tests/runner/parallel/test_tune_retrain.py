"""Trials on Ray Tune: real trainings of real processes, some of which are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.errors import Conflict, Interrupted
from runner.parallel.session import RaySettings, ray_session
from runner.parallel.trials import AllTrialsFailed, Trial, TrialSettings, TuneResult
from supernet.training.checkpoint import Checkpoints
from tests.integration.studies import ROOT
from tests.runner.parallel.trainings import DIVERGING, GRID, STEPS, DigitsTraining, tune

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One Ray for all tests here; to start it takes longer than any of them."""
    with ray_session(RaySettings(workers=2)):
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """The trials one after another, in one process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return tune(folder / "tuning", DigitsTraining(markers=folder), workers=1)


def check_same(found: TuneResult, expected: TuneResult) -> None:
    """The same outcomes, the same best, and its weights bit by bit; in the folder, files of ours only."""
    assert found.trials == expected.trials
    assert found.best == expected.best
    mine, theirs = (Checkpoints(result.folder).latest() for result in (found, expected))
    assert mine is not None
    assert theirs is not None
    assert mine.step == theirs.step == STEPS
    assert mine.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(mine.tensors[name], theirs.tensors[name]) for name in mine.tensors)
    check_files(found.folder.parent)


def check_files(folder: Path) -> None:
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert Path("tuning.json") in files
    wrong = [
        path
        for path in files - {Path("tuning.json")}
        if not path.parts[0].startswith("trial-")
        or (path.name not in ("trial.json", "lock") and path.suffix != ".safetensors")
    ]
    assert wrong == []
    assert not [path for path in folder.rglob("*") if path.is_dir() and path.parent != folder]


def wait_for_end(pid: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.1)


def test_trials_are_stopped_early_and_the_best_that_finished_is_found(uninterrupted: TuneResult) -> None:
    states = [trial.state for trial in uninterrupted.trials]
    assert states[0] == "finished"
    assert set(states) == {"finished", "stopped"}
    assert [trial.settings for trial in uninterrupted.trials] == list(GRID)
    finished = [trial for trial in uninterrupted.trials if trial.state == "finished"]
    assert uninterrupted.best == min(finished, key=lambda trial: trial.points[-1].values["loss"])
    assert [point.step for point in uninterrupted.best.points] == [4, 8, 12, 16, 20, 24]
    assert all(trial.step in (8, 16) for trial in uninterrupted.trials if trial.state == "stopped")


def test_two_workers_of_unequal_speed_find_the_same(tmp_path: Path, uninterrupted: TuneResult) -> None:
    told: list[tuple[int, int, str]] = []
    slow_first = DigitsTraining(markers=tmp_path, pauses_s={0: 0.1})
    found = tune(tmp_path / "tuning", slow_first, progress=lambda *words: told.append(words))
    check_same(found, uninterrupted)
    done = [steps for steps, _, _ in told]
    assert done == sorted(done)
    assert {total for _, total, _ in told} == {len(GRID) * STEPS}
    assert done[-1] == len(GRID) * STEPS
    assert any("of 4: loss " in words and "at step" in words for _, _, words in told)
    assert any("stopped early" in words for _, _, words in told)


def test_a_finished_tuning_is_read_and_not_run_again(
    tmp_path: Path, uninterrupted: TuneResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.parallel.tune_retrain.ray_session", lambda _: pytest.fail("Ray was asked for"))
    before = {path: path.read_bytes() for path in uninterrupted.folder.parent.rglob("*") if path.is_file()}
    assert tune(uninterrupted.folder.parent, DigitsTraining(markers=tmp_path)) == uninterrupted
    assert {path: path.read_bytes() for path in uninterrupted.folder.parent.rglob("*") if path.is_file()} == before
    with pytest.raises(Conflict, match="other settings"):
        tune(uninterrupted.folder.parent, DigitsTraining(markers=tmp_path), grid=GRID[:2])


def test_a_killed_worker_is_replaced_and_goes_on_from_its_checkpoint(tmp_path: Path, uninterrupted: TuneResult) -> None:
    killed = DigitsTraining(markers=tmp_path / "markers", kills={0: 14, 1: 3})
    found = tune(tmp_path / "tuning", killed)
    assert (tmp_path / "markers" / "killed-0").exists()
    assert (tmp_path / "markers" / "killed-1").exists()
    check_same(found, uninterrupted)


def test_a_trial_whose_workers_are_always_lost_fails_and_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path, always_killed=(1,)), max_failures=1)
    assert found.trials[1].state == "failed"
    assert "lost 2 times" in str(found.trials[1].reason)
    assert [trial.state == "failed" for trial in found.trials] == [False, True, False, False]
    assert capfd.readouterr() == ("", "")


def test_a_trial_that_diverges_fails_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    grid = (replace(GRID[0], learning_rate=DIVERGING), *GRID[1:])
    found = tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), grid=grid)
    assert found.trials[0].state == "failed"
    assert "the loss became" in str(found.trials[0].reason)
    assert found.best.settings.index > 0
    assert tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), grid=grid) == found


def test_where_all_fail_the_first_cause_is_told_and_the_same_call_tries_again(tmp_path: Path) -> None:
    grid = tuple(replace(settings, learning_rate=DIVERGING) for settings in GRID[:2])
    for _ in range(2):
        with pytest.raises(AllTrialsFailed, match=r"none of the 2 trials .* the first of them: the loss became"):
            tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), grid=grid)
    check_files(tmp_path / "tuning")


def test_stop_and_the_same_call_again_equals_the_uninterrupted_run(tmp_path: Path, uninterrupted: TuneResult) -> None:
    done = [0]

    def progress(steps: int, total: int, detail: str) -> None:
        del total, detail
        done[0] = steps

    pauses = dict.fromkeys(range(len(GRID)), 0.15)
    training = DigitsTraining(markers=tmp_path / "markers", pauses_s=pauses)
    with pytest.raises(Interrupted, match="unfinished"):
        tune(tmp_path / "tuning", training, progress=progress, stop=lambda: done[0] >= 12)
    check_files(tmp_path / "tuning")
    steps = [
        checkpoint.step
        for index in (0, 1)
        if (checkpoint := Checkpoints(tmp_path / "tuning" / f"trial-{index}").latest())
    ]
    assert len(steps) == 2
    assert all(0 < step < STEPS for step in steps)
    assert any(step % 5 for step in steps), "no checkpoint was written when it was asked to stop"
    check_same(tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path)), uninterrupted)


@pytest.mark.parametrize("until", [1, 40])
def test_a_killed_driver_and_the_same_call_again_equal_the_uninterrupted_run(
    tmp_path: Path, uninterrupted: TuneResult, until: int
) -> None:
    arguments = [str(tmp_path / "tuning"), str(tmp_path / "markers"), "2"]
    command = [sys.executable, "-m", "tests.runner.parallel.trainings", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(
        [*command, str(until)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (killed.stdout, killed.stderr) == ("", "")
    workers = [int(path.read_text()) for path in (tmp_path / "markers").glob("pid-*")]
    assert workers
    found = tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path / "markers"))
    check_same(found, uninterrupted)
    for pid in workers:
        wait_for_end(pid)


def test_the_terminal_stays_quiet_and_no_file_is_left_elsewhere(tmp_path: Path, uninterrupted: TuneResult) -> None:
    home, temporary = tmp_path / "home", Path("/tmp") / f"quiet-{os.getpid()}"
    for folder in (home, temporary):
        folder.mkdir()
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.runner.parallel.trainings",
                str(tmp_path / "tuning"),
                str(tmp_path / "m"),
                "2",
                "0",
            ],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(home), "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{uninterrupted.best.settings.index}\n"
        left = {path.name for folder in (home, temporary) for path in folder.iterdir()}
        assert {name for name in left if not name.startswith("torchinductor_")} == set()  # torch's own, while imported
    finally:
        shutil.rmtree(temporary)
    check_files(tmp_path / "tuning")
    for path in (tmp_path / "m").glob("pid-*"):
        wait_for_end(int(path.read_text()))


class _Silent:
    """A training that ends without a word."""

    def __call__(self, trial: Trial) -> None:
        del trial


class _Wordless:
    """A training that reports something else."""

    def __call__(self, trial: Trial) -> None:
        trial.report(STEPS, {"error": 0.5})


@pytest.mark.parametrize(("training", "reason"), [(_Silent(), "without a word"), (_Wordless(), "judged by 'loss'")])
def test_a_training_that_does_not_report_what_it_must_fails(tmp_path: Path, training: _Silent, reason: str) -> None:
    with pytest.raises(AllTrialsFailed, match=reason):
        tune(tmp_path / "tuning", training, grid=(TrialSettings(index=0, learning_rate=1e-3, weight_decay=0.0),))
    assert json.loads((tmp_path / "tuning" / "tuning.json").read_text())["trials"] is None
