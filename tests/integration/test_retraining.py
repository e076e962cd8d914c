"""Several points retrained with every option: killed in the middle, gone on with, asked for again."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from runner.front import read_front
from runner.settings import Home
from runner.stages.retrain_recipe import RECIPE_EVENT
from runner.store import open_repository
from supernet.training.checkpoint import Checkpoints
from tests.integration.record import check_invariants, rows, scores
from tests.integration.studies import UNTIMED, environment, write
from tests.integration.warm import warm_run

if TYPE_CHECKING:
    from tests.integration.conftest import Call

pytestmark = pytest.mark.slow

STEPS, TRIALS = 12, 2
SPEC: dict[str, Any] = {
    **UNTIMED,
    "train": {"steps": 8, "batch": 32, "precision": "fp32"},
    "search": {"evaluations": 8, "measured_latencies": 8, "workers": "serial"},
    "retrain": {
        "points": ["knee", "ends"],
        "start": "scratch",
        "teacher": "none",
        "steps": STEPS,
        "trials": TRIALS,
        "warmup": 0.3,
        "label_smoothing": 0.1,
        "ema": 0.9,
    },
}


def last_weights(home: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The newest checkpoint of every trial, by its folder within the study."""
    found = {}
    for folder in sorted(Home(home).path.glob("studies/*/retrained/*/trial-*")):
        checkpoint = Checkpoints(folder).latest()
        assert checkpoint is not None
        found["/".join(folder.parts[-2:])] = checkpoint.tensors
    return found


def test_killed_in_the_second_point_it_goes_on_bit_by_bit(call: Call, tmp_path: Path) -> None:
    file = write(tmp_path / "s.json", SPEC)
    whole, killed = tmp_path / "whole", tmp_path / "home"
    assert call("--home", whole, "run", file)[0] == 0
    # Every report tells the progress, and so does a second without one.
    reports = TRIALS * STEPS + 7
    died_in = (str(killed), str(file), "retrain", str(reports))
    ended = warm_run("tests.integration.killed_run", died_in, environment(killed))
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    before = rows(killed, "untimed")
    assert call("run", file)[0] == 0
    assert rows(killed, "untimed")[: len(before)] == before
    assert scores(killed, "untimed") == scores(whole, "untimed")
    mine, theirs = last_weights(killed), last_weights(whole)
    assert mine.keys() == theirs.keys()
    assert len({name.partition("/")[0] for name in mine}) >= 2, "the front has only one point"
    for name, tensors in theirs.items():
        assert all(torch.equal(tensor, mine[name][key]) for key, tensor in tensors.items())
    with open_repository(Home(killed).database) as repository:
        check_invariants(repository, "untimed")
        study = repository.study("untimed")
        front = read_front(study, repository)
        told = [event.payload["architecture"] for event in repository.events(study.id) if event.kind == RECIPE_EVENT]
        details = {stage.name: stage.detail for stage in repository.stages(study.id)}
    assert front.knee is not None
    wanted = {point.architecture.digest for point in (front.knee, *front.ends)}
    assert (set(told), len(told)) == (wanted, len(wanted))
    for stage in ("retrain", "export"):
        assert {one["metric"] for one in details[stage]["agreement"]} == {"error"}
    code, said, _ = call("retrain", "untimed", "ends", "knee")
    assert code == 0
    assert all(f"{digest} error " in said for digest in wanted)
