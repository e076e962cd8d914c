"""Trials on Ray Tune: real trainings in real processes, which are interrupted and killed."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.errors import FAILED, Conflict, Interrupted
from runner.parallel.errors import InvalidResources
from runner.parallel.resources import Resources
from runner.parallel.trials import AllTrialsFailed, TuneResult
from supernet.training.checkpoint import Checkpoints
from tests.integration.studies import ROOT
from tests.runner.parallel.processes import Marked
from tests.runner.parallel.trainings import AT_ONCE, DIVERGING, GRID, STEPS, DigitsTraining, misbehave, tune

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """The trials one after another, in this process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return tune(folder / "tuning", DigitsTraining(markers=folder), workers="serial")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A home and a folder for temporary files, of which nothing may be left; the latter with a short name."""
    home, temporary = tmp_path / "home", Path(tempfile.mkdtemp(prefix="tune-", dir="/tmp"))
    home.mkdir()
    try:
        yield {"HOME": str(home), "TMPDIR": str(temporary)}
        left = {path.name for folder in (home, temporary) for path in folder.iterdir()}
        assert {name for name in left if not name.startswith("torchinductor_")} == set()  # torch's own, while imported
    finally:
        shutil.rmtree(temporary)


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
    assert {path.name for path in folder.iterdir()} <= {"tuning.json", *(f"trial-{i}" for i in range(len(GRID) + 1))}
    for path in folder.glob("trial-*/*"):
        assert path.name in ("trial.json", "lock") or (path.suffix, path.name[:5]) == (".safetensors", "step-")


def driver(folder: Path, marked: Marked, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`tune` in a process and a process group of its own; all of its processes end with it."""
    command = [sys.executable, "-m", "tests.runner.parallel.trainings", str(folder), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=marked.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )
    marked.check_none_left()
    return done


def test_trials_are_stopped_early_and_the_best_that_finished_is_found(uninterrupted: TuneResult) -> None:
    assert [trial.settings for trial in uninterrupted.trials] == list(GRID)
    assert [trial.state for trial in uninterrupted.trials] == ["finished", "stopped", "stopped", "finished"]
    finished = [trial for trial in uninterrupted.trials if trial.state == "finished"]
    assert uninterrupted.best == min(finished, key=lambda trial: trial.points[-1].values["loss"])
    assert [point.step for point in uninterrupted.best.points] == [4, 8, 12, 16, 20, 24]
    assert all(trial.step in (8, 16) for trial in uninterrupted.trials if trial.state == "stopped")
    check_files(uninterrupted.folder.parent)


def test_a_finished_tuning_is_read_and_not_run_again(
    tmp_path: Path, uninterrupted: TuneResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.parallel.tune_retrain.ray_session", lambda _: pytest.fail("Ray was asked for"))
    folder = uninterrupted.folder.parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert tune(folder, DigitsTraining(markers=tmp_path)) == uninterrupted
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(Conflict, match="other settings"):
        tune(folder, DigitsTraining(markers=tmp_path), grid=GRID[:2])


@pytest.mark.usefixtures("local_ray")
def test_a_trial_that_is_stopped_early_saves_its_worker_the_rest(
    tmp_path: Path, uninterrupted: TuneResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the driver's directory, too."""
    monkeypatch.chdir(tmp_path)
    found = tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path, directory=tmp_path), workers=1)
    check_same(found, uninterrupted)
    for trial in found.trials:
        newest = Checkpoints(tmp_path / "tuning" / f"trial-{trial.settings.index}").latest()
        assert newest is not None
        assert newest.step <= trial.step


@pytest.mark.usefixtures("local_ray")
def test_workers_of_unequal_speed_that_are_killed_find_the_same(tmp_path: Path, uninterrupted: TuneResult) -> None:
    told: list[tuple[int, int, str]] = []
    killed = DigitsTraining(markers=tmp_path / "markers", kills={0: 14, 1: 3}, pauses_s={0: 0.1})
    found = tune(tmp_path / "tuning", killed, progress=lambda *words: told.append(words))
    assert (tmp_path / "markers" / "killed-0").exists()
    assert (tmp_path / "markers" / "killed-1").exists()
    check_same(found, uninterrupted)
    done = [steps for steps, _, _ in told]
    assert done == sorted(done)
    assert done[-1] == len(GRID) * STEPS
    assert {total for _, total, _ in told} == {len(GRID) * STEPS}
    assert any("of 4: loss " in words and "at step" in words for _, _, words in told)
    assert any("stopped early" in words for _, _, words in told)


def test_trials_fail_with_their_reasons_and_the_others_go_on(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    """The terminal stays quiet, and no file is left elsewhere."""
    done = driver(tmp_path / "tuning", Marked(**elsewhere), "--misbehave")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = misbehave(tmp_path / "tuning")
    assert [trial.state for trial in found.trials] == ["failed"] * 4 + ["finished"]
    reasons = ("the loss became nan at step", "lost 2 times", "without a word", "but is judged by 'loss'")
    for trial, reason in zip(found.trials[:4], reasons, strict=True):
        assert reason in str(trial.reason)
    assert found.best == found.trials[4]


@pytest.mark.parametrize("workers", ["serial", 1])
@pytest.mark.usefixtures("local_ray")
def test_where_all_fail_the_first_cause_is_told_and_the_same_call_tries_again(
    tmp_path: Path, workers: int | str
) -> None:
    grid = (replace(GRID[0], learning_rate=DIVERGING),)
    for _ in range(2 if workers == "serial" else 1):
        with pytest.raises(AllTrialsFailed, match=r"none of the 1 trials .* the first of them: the loss became"):
            tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), grid=grid, workers=workers)
    check_files(tmp_path / "tuning")


def test_serial_trials_stop_and_go_on(tmp_path: Path, uninterrupted: TuneResult) -> None:
    for steps in (30, 12):
        asked = itertools.count()
        with pytest.raises(Interrupted, match="unfinished"):
            tune(
                tmp_path / "tuning",
                DigitsTraining(markers=tmp_path),
                workers="serial",
                stop=lambda asked=asked, steps=steps: next(asked) >= steps,
            )
    check_same(tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), workers="serial"), uninterrupted)


def test_ctrl_c_stops_at_a_checkpoint_and_the_same_call_goes_on(tmp_path: Path, uninterrupted: TuneResult) -> None:
    """To the process group, as a terminal sends it: once, then twice in a row."""
    marked = Marked()
    once = driver(tmp_path / "tuning", marked, "--wait", "4", "--interrupt", "8")  # two trials at a time
    assert (once.returncode, once.stdout, once.stderr) == (130, "", "")
    check_files(tmp_path / "tuning")
    newest = [Checkpoints(tmp_path / "tuning" / f"trial-{index}").latest() for index in (0, 1)]
    assert [checkpoint and checkpoint.step for checkpoint in newest] == [4, 4]  # others are written every five steps
    twice = driver(tmp_path / "tuning", marked, "--interrupt", "40", "--interrupt", "40")
    assert (twice.returncode, twice.stdout, twice.stderr) == (AT_ONCE, "", "")
    check_same(tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), workers="serial"), uninterrupted)


def test_raylet_and_driver_may_die(tmp_path: Path, uninterrupted: TuneResult) -> None:
    """A Ray that dies is replaced; where the driver dies, the same call goes on."""
    marked = Marked()
    killed = driver(tmp_path / "tuning", marked, "--kill", "12")
    assert (killed.returncode, killed.stdout, killed.stderr) == (-signal.SIGKILL, "", "")
    done = driver(tmp_path / "tuning", marked, "--kill-raylet", "52")
    if "holds this process" in done.stderr:  # as it may where Ray dies in the middle of a call: said, and gone on with
        assert (done.returncode, done.stdout) == (FAILED, "")
        done = driver(tmp_path / "tuning", marked)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check_same(tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path)), uninterrupted)


@pytest.mark.usefixtures("local_ray")
def test_a_trial_for_which_there_is_no_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidResources, match="a trial needs 1000 GPUs, Ray has 0 here"):
        tune(tmp_path / "tuning", DigitsTraining(markers=tmp_path), resources=Resources(gpus=1000))
