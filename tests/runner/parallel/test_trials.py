"""The trials of a training: settings, the rule that stops them, and the files that are the truth about them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import Conflict
from runner.parallel.trials import (
    AllTrialsFailed,
    Point,
    StoppingRule,
    TrialRecord,
    TrialSettings,
    Tuning,
    TuningError,
    stopping_rule,
    stops,
    trial_grid,
)

STEPS = 40
RULE = StoppingRule(rungs=(10, 20), reduction=2)

curves = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=6)


def record(index: int, values: Sequence[float], *, finished: bool = False, failure: str | None = None) -> TrialRecord:
    points = [Point(10 * (place + 1), {"error": float(value)}) for place, value in enumerate(values)]
    asked = TrialSettings(index=index, learning_rate=0.1, weight_decay=0.0)
    return TrialRecord(settings=asked, points=points, finished=finished, failure=failure)


def stopped_at(records: Sequence[TrialRecord]) -> list[int | None]:
    return [None if stop is None else stop.step for stop in stops(records, RULE, "error", "minimize", STEPS)]


def complete(values: Sequence[Sequence[float]]) -> list[TrialRecord]:
    return [record(index, curve, finished=True) for index, curve in enumerate(values)]


class TestGrid:
    def test_the_first_trial_has_the_given_settings(self) -> None:
        assert trial_grid(2e-3, 0.05, 1, seed=9) == (TrialSettings(index=0, learning_rate=2e-3, weight_decay=0.05),)

    def test_the_others_lie_around_it_on_both_sides(self) -> None:
        grid = trial_grid(2e-3, 0.05, 400, seed=1)[1:]
        rates = [math.log(trial.learning_rate / 2e-3, 3) for trial in grid]
        decays = [math.log10(trial.weight_decay / 0.05) for trial in grid]
        for logs in (rates, decays):
            assert -1 <= min(logs) < -0.9
            assert 0.9 < max(logs) <= 1
            assert abs(sum(logs) / len(logs)) < 0.1

    def test_more_trials_keep_the_first_ones_and_the_seed_decides(self) -> None:
        assert trial_grid(1e-3, 0.1, 8, seed=3)[:4] == trial_grid(1e-3, 0.1, 4, seed=3)
        assert trial_grid(1e-3, 0.1, 4, seed=3)[1:] != trial_grid(1e-3, 0.1, 4, seed=4)[1:]

    def test_no_decay_stays_no_decay(self) -> None:
        assert {trial.weight_decay for trial in trial_grid(1e-3, 0.0, 4, seed=0)} == {0.0}

    def test_no_trial_is_refused(self) -> None:
        with pytest.raises(TuningError, match="at least 1, got 0"):
            trial_grid(1e-3, 0.0, 0, seed=0)


class TestRungs:
    def test_late_ones(self) -> None:
        assert stopping_rule(600).rungs == (300, 450)

    def test_a_short_training_has_fewer(self) -> None:
        assert stopping_rule(2).rungs == (1,)
        assert stopping_rule(1).rungs == ()

    @pytest.mark.parametrize(("rungs", "reduction"), [((20, 10), 2), ((10, 10), 2), ((0,), 2), ((10,), 1)])
    def test_senseless_rules_are_refused(self, rungs: tuple[int, ...], reduction: float) -> None:
        with pytest.raises(TuningError):
            StoppingRule(rungs=rungs, reduction=reduction)


class TestStops:
    def test_the_worse_half_stops_at_its_first_rung_behind(self) -> None:
        values = [[5, 4, 3, 2], [6, 1, 1, 1], [4, 5, 1, 1], [4, 4, 9, 9]]
        assert stopped_at(complete(values)) == [None, 10, 20, None]

    @settings(deadline=None)  # the first call imports Ray
    @given(curves)
    def test_decides_as_rays_asha_does_when_trials_come_one_after_another(self, values: list[list[int]]) -> None:
        from ray.tune.schedulers import ASHAScheduler

        # A grace period of 10 and rungs up to, not at, the end; Ray's own arithmetic makes them 10 and 20.
        asha = ASHAScheduler(
            time_attr="step", metric="error", mode="min", max_t=STEPS - 1, grace_period=10, reduction_factor=2
        )
        expected: list[int | None] = []
        for index, curve in enumerate(values):
            trial = SimpleNamespace(trial_id=str(index))
            asha.on_trial_add(None, trial)  # type: ignore[arg-type]
            stop = None
            for place, value in enumerate(curve[:-1]):
                result = {"step": 10 * (place + 1), "error": float(value)}
                if asha.on_trial_result(None, trial, result) == "STOP":  # type: ignore[arg-type]
                    stop = result["step"]
                    break
            expected.append(stop)
        assert stopped_at(complete(values)) == expected

    @given(curves, st.data())
    def test_what_is_decided_early_is_what_is_decided_at_the_end(
        self, values: list[list[int]], data: st.DataObject
    ) -> None:
        """However far each trial has come: a stop is never taken back, and nothing that stops later is missed."""
        end = stopped_at(complete(values))
        cuts = [data.draw(st.integers(0, 4)) for _ in values]
        partial = [
            record(i, curve[:cut], finished=cut == 4) for i, (curve, cut) in enumerate(zip(values, cuts, strict=True))
        ]
        for known, final in zip(stopped_at(partial), end, strict=True):
            assert known is None or known == final

    def test_a_decision_waits_for_the_trials_before_it(self) -> None:
        late = [record(0, []), record(1, [9, 9])]
        assert stopped_at(late) == [None, None]
        late[0] = record(0, [1])
        assert stopped_at(late) == [None, 10]

    @pytest.mark.parametrize("place", range(4))
    def test_the_first_trial_is_never_stopped(self, place: int) -> None:
        values = [[9, 9, 9, 9], *itertools.repeat([1, 1, 1, 1], place)]
        assert stopped_at(complete(values))[0] is None

    def test_a_failed_trial_is_no_competitor(self) -> None:
        good, bad = [1, 1, 1, 1], [5, 5, 5, 5]
        assert stopped_at(complete([good, bad])) == [None, 10]
        assert stopped_at([record(0, good[:2], failure="lost"), record(1, bad, finished=True)]) == [None, None]

    def test_a_failure_after_the_stop_changes_nothing(self) -> None:
        """It was only met because that trial ran ahead of a decision."""
        values = [[1, 1, 1, 1], [5], [6, 1, 1, 1]]
        ahead = [
            record(0, values[0], finished=True),
            record(1, [5], failure="lost"),
            record(2, values[2], finished=True),
        ]
        assert stopped_at(ahead) == [None, 10, 10]

    def test_the_end_of_the_training_is_no_rung(self) -> None:
        """Where reports are so rare that the first one after a rung is the last, nobody is stopped."""
        points = [[Point(STEPS, {"error": value})] for value in (0.1, 0.9)]
        grid = trial_grid(1e-3, 0.1, 2, seed=0)
        records = [TrialRecord(settings=s, points=p, finished=True) for s, p in zip(grid, points, strict=True)]
        assert stopped_at(records) == [None, None]

    def test_larger_is_better_where_it_is_so(self) -> None:
        records = complete([[5, 5, 5, 5], [6, 6, 6, 6]])
        assert [stop is None for stop in stops(records, RULE, "error", "maximize", STEPS)] == [True, True]
        assert [stop is None for stop in stops(records, RULE, "error", "minimize", STEPS)] == [True, False]


class TestFiles:
    def tuning(self, folder: Path, trials: int = 3) -> Tuning:
        grid = trial_grid(0.1, 0.0, trials, seed=0)
        return Tuning(folder=folder, grid=grid, metric="error", mode="minimize", steps=STEPS, rule=RULE)

    def test_a_record_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        written = record(0, [0.1, 1 / 3], finished=True)
        written.save(tmp_path / "trial-0")
        assert TrialRecord.load(tmp_path / "trial-0", written.settings) == written

    def test_a_failure_is_not_kept(self, tmp_path: Path) -> None:
        record(0, [1], failure="lost").save(tmp_path)
        assert TrialRecord.load(tmp_path, record(0, []).settings).failure is None

    def test_a_result_is_read_as_it_was_concluded(self, tmp_path: Path) -> None:
        tuning = self.tuning(tmp_path)
        assert tuning.begin() is None
        records = [record(0, [3, 3, 3, 3], finished=True), record(1, [9, 9]), record(2, [1], failure="it diverged")]
        for one, asked in zip(records, tuning.grid, strict=True):
            one.settings = asked
        result = tuning.conclude(records)
        assert [trial.state for trial in result.trials] == ["finished", "stopped", "failed"]
        assert [trial.step for trial in result.trials] == [40, 10, 10]
        assert result.trials[2].reason == "it diverged"
        assert result.folder == tmp_path / "trial-0"
        assert tuning.begin() == result

    def test_ties_go_to_the_first(self, tmp_path: Path) -> None:
        result = self.tuning(tmp_path).conclude(complete([[2, 2, 2, 2], [1, 1, 1, 1], [1, 1, 1, 1]]))
        assert result.best.settings.index == 1

    def test_the_best_is_among_those_that_finished(self, tmp_path: Path) -> None:
        records = [record(0, [2, 2, 2, 2], finished=True), record(1, [0, 0], failure="lost"), record(2, [1, 3])]
        assert self.tuning(tmp_path).conclude(records).best.settings.index == 0

    def test_what_killed_processes_left_is_removed(self, tmp_path: Path) -> None:
        left = [tmp_path / ".tuning.json.7.tmp", tmp_path / "trial-1" / ".trial.json.7.tmp"]
        left[1].parent.mkdir()
        for path in left:
            path.write_text("{")
        self.tuning(tmp_path, trials=1).conclude(complete([[1, 1, 1, 1]]))
        assert not any(path.exists() for path in left)

    def test_where_all_failed_there_is_no_result(self, tmp_path: Path) -> None:
        tuning = self.tuning(tmp_path, trials=2)
        tuning.begin()
        with pytest.raises(AllTrialsFailed, match=r"none of the 2 trials .* the first of them: no memory"):
            tuning.conclude([record(0, [], failure="no memory"), record(1, [], failure="lost")])
        assert tuning.begin() is None

    def test_another_tuning_in_the_same_folder_is_refused(self, tmp_path: Path) -> None:
        self.tuning(tmp_path, trials=2).begin()
        assert self.tuning(tmp_path, trials=2).begin() is None
        with pytest.raises(Conflict, match="other settings"):
            self.tuning(tmp_path, trials=3).begin()

    @pytest.mark.parametrize("content", ["", "[]", '{"version": 1', "{}"])
    def test_a_damaged_file_is_named(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "tuning.json").write_text(content)
        with pytest.raises(TuningError, match=r"tuning\.json is damaged .* delete the folder"):
            self.tuning(tmp_path).begin()

    def test_a_file_of_another_version_is_named(self, tmp_path: Path) -> None:
        self.tuning(tmp_path).begin()
        content = json.loads((tmp_path / "tuning.json").read_text())
        (tmp_path / "tuning.json").write_text(json.dumps({**content, "version": 99}))
        with pytest.raises(TuningError, match="another version"):
            self.tuning(tmp_path).begin()

    def test_a_grid_is_numbered_in_order(self, tmp_path: Path) -> None:
        with pytest.raises(TuningError, match="numbered from 0"):
            Tuning(
                folder=tmp_path,
                grid=trial_grid(0.1, 0.0, 3, seed=0)[1:],
                metric="error",
                mode="minimize",
                steps=STEPS,
                rule=RULE,
            )
