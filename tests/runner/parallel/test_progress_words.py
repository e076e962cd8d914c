"""What a person reads while trials run: which trial, at which step, its score and its best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.parallel.trials import Tuning, stopping_rule, trial_grid
from runner.parallel.tune_retrain import Run

if TYPE_CHECKING:
    from runner.parallel.trials import Mode


@pytest.mark.parametrize(("mode", "scores"), [("minimize", (0.5, 0.25, 0.375)), ("maximize", (0.5, 0.75, 0.625))])
def test_the_newest_score_and_the_best_so_far(tmp_path: Path, mode: Mode, scores: tuple[float, ...]) -> None:
    told: list[tuple[int, int, str]] = []
    tuning = Tuning(
        folder=tmp_path,
        grid=trial_grid(1e-3, 0.1, 2, 0),
        metric="score",
        mode=mode,
        steps=100,
        rule=stopping_rule(100),
    )
    run = Run(tuning=tuning, records=tuning.records(), progress=lambda *one: told.append(one), stop=lambda: False)
    for step, score in zip((10, 20, 30), scores, strict=True):
        run.hear(0, {"points": [(step, {"score": score})]})
        run.poll()
    first, best, last = (f"{score:.4g}" for score in scores)
    assert told == [
        (10, 200, f"trial 1 of 2: score {first} at step 10"),
        (20, 200, f"trial 1 of 2: score {best} at step 20"),
        (30, 200, f"trial 1 of 2: score {last} at step 30, best {best} at step 20"),
    ]
