"""The contract of every algorithm, and what the one that learns must do better."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from runner.search import Evaluation, SearchResult, UnknownAlgorithm, algorithm_names, create_algorithm, pose
from runner.search.engine import search
from runner.search.pareto import hypervolume
from search_spaces import Architecture, Categorical, Ordinal, SearchSpace
from tests.runner.search.spaces import cost, error, layered_space, measure, tiny_space

TWO = {"error": "minimize", "cost": "minimize"}
SPACE = layered_space()


def fragile(architecture: Architecture) -> dict[str, float]:
    """The widest third of the space cannot be measured."""
    if architecture["width"] == 32:
        return {"error": math.nan, "cost": -math.inf}
    return measure(architecture)


def memory(architecture: Architecture) -> float:
    return measure(architecture)["memory"]


def architectures(result: SearchResult) -> list[Architecture]:
    return [evaluation.architecture for evaluation in result.evaluations]


@pytest.mark.parametrize("algorithm", algorithm_names())
class TestEveryAlgorithm:
    @pytest.mark.slow
    def test_the_seed_alone_decides(self, algorithm: str) -> None:
        state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - that nobody touches it
        runs = [
            architectures(search(SPACE, measure, TWO, algorithm=algorithm, evaluations=30, seed=seed))
            for seed in (1, 1, 2)
        ]
        assert runs[0] == runs[1] != runs[2]
        assert state == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002 - as above

    @pytest.mark.slow
    @pytest.mark.parametrize("metrics", [measure, fragile], ids=["sound", "failing"])
    def test_resuming_equals_never_stopping(
        self, algorithm: str, metrics: Callable[[Architecture], dict[str, float]]
    ) -> None:
        options = {"algorithm": algorithm, "evaluations": 42, "seed": 3, "costs": {"memory": memory}}
        whole = search(SPACE, metrics, TWO, **options).evaluations
        for cut in (1, 13, 21, 41):
            rest: list[Evaluation] = []
            resumed = search(SPACE, metrics, TWO, history=whole[:cut], on_evaluation=rest.append, **options)
            assert resumed.evaluations == whole
            assert rest == list(whole[cut:])

    def test_resuming_a_foreign_history_equals_going_on_from_it(self, algorithm: str) -> None:
        history = search(SPACE, measure, TWO, algorithm="random", evaluations=18, seed=9).evaluations
        options = {"algorithm": algorithm, "evaluations": 30, "seed": 3}
        whole = search(SPACE, measure, TWO, history=history, **options).evaluations
        assert search(SPACE, measure, TWO, history=whole[:23], **options).evaluations == whole

    def test_no_architecture_is_evaluated_twice(self, algorithm: str) -> None:
        result = search(SPACE, measure, TWO, algorithm=algorithm, evaluations=60)
        assert len(result.evaluations) == len(set(architectures(result))) == 60
        assert result.reason == "evaluations"

    def test_a_finite_space_is_exhausted_and_its_front_is_exact(self, algorithm: str) -> None:
        def metrics(architecture: Architecture) -> dict[str, float]:
            return {"error": 1.0 / float(architecture["a"]), "cost": float(architecture["a"])}

        result = search(tiny_space(), metrics, TWO, algorithm=algorithm, evaluations=100)
        assert result.reason == "exhausted"
        assert set(architectures(result)) == set(tiny_space().enumerate())
        assert len(result.front) == 12

    def test_conditions_and_constraints_hold(self, algorithm: str) -> None:
        space = layered_space(6)
        for architecture in architectures(search(space, measure, TWO, algorithm=algorithm, evaluations=40)):
            space.check(architecture)

    def test_only_pool_members_are_proposed_until_none_is_left(self, algorithm: str) -> None:
        rng = random.Random(0)
        pool = list({SPACE.sample(rng): None for _ in range(30)})
        result = search(SPACE, measure, TWO, algorithm=algorithm, evaluations=50, candidates=pool)
        assert sorted(map(Architecture.to_json, architectures(result))) == sorted(a.to_json() for a in pool)
        assert result.reason == "exhausted"

    def test_failures_cost_budget_and_reach_no_front(self, algorithm: str) -> None:
        result = search(SPACE, fragile, TWO, algorithm=algorithm, evaluations=40, seed=2)
        failed = [e for e in result.evaluations if e.state == "failed"]
        assert len(result.evaluations) == 40
        assert failed
        assert {e.failure_kind for e in failed} == {"non_finite"}
        assert all(e.architecture["width"] != 32 for e in result.front)

    @pytest.mark.parametrize("objectives", [1, 2, 3, 4])
    def test_any_number_of_objectives_and_both_goals(self, algorithm: str, objectives: int) -> None:
        goals = {"error": "minimize", "quality": "maximize", "cost": "minimize", "memory": "minimize"}

        def metrics(architecture: Architecture) -> dict[str, float]:
            return {**measure(architecture), "quality": -(error(architecture) ** 2)}

        chosen = dict(list(goals.items())[:objectives])
        result = search(SPACE, metrics, chosen, algorithm=algorithm, evaluations=30)
        assert len(result.evaluations) == 30
        assert result.front
        best = min(evaluation.values["error"] for evaluation in result.evaluations)
        assert result.front[0].values["error"] == best

    def test_bounds_keep_what_breaks_them_off_the_front(self, algorithm: str) -> None:
        bounds = {"cost": (30.0, 120.0), "error": (None, 0.6)}
        result = search(SPACE, measure, TWO, algorithm=algorithm, evaluations=50, bounds=bounds)
        assert result.front
        for evaluation in result.front:
            assert 30.0 <= evaluation.values["cost"] <= 120.0
            assert evaluation.values["error"] <= 0.6

    def test_bounds_that_nothing_meets_leave_an_empty_front(self, algorithm: str) -> None:
        result = search(
            SPACE,
            measure,
            TWO,
            algorithm=algorithm,
            evaluations=30,
            bounds={"cost": (None, 1.0), "error": (None, 0.0)},
            costs={"cost": cost},
        )
        assert result.front == ()
        assert len(result.evaluations) == 30

    def test_constant_metrics_and_computed_ones_alone(self, algorithm: str) -> None:
        constant = search(SPACE, lambda _: {"error": 0.5, "cost": 2.0}, TWO, algorithm=algorithm, evaluations=30)
        assert len(constant.front) == 30
        computed = search(
            SPACE,
            lambda _: {},
            TWO,
            algorithm=algorithm,
            evaluations=30,
            costs={"error": error, "cost": cost},
        )
        assert all(evaluation.state == "complete" for evaluation in computed.evaluations)

    def test_it_is_asked_while_others_are_pending_and_told_in_any_order(self, algorithm: str) -> None:
        proposer = create_algorithm(algorithm, pose(SPACE, TWO), 0)
        rng, under_way, seen = random.Random(0), [], set()
        for _ in range(60):
            under_way += proposer.ask(4 - len(under_way))
            assert len(under_way) == len(set(under_way)) == 4
            architecture = under_way.pop(rng.randrange(4))
            assert architecture not in seen
            seen.add(architecture)
            if len(seen) % 9:
                proposer.tell(Evaluation.complete(architecture, measure(architecture)))
            else:
                proposer.tell(Evaluation.failed(architecture, "exception", "lost"))

    def test_a_space_of_one_architecture(self, algorithm: str) -> None:
        space = SearchSpace({"only": Categorical("this")})
        result = search(space, lambda _: {"error": 1.0}, {"error": "minimize"}, algorithm=algorithm)
        assert [e.architecture for e in result.front] == [space.smallest()]


def test_unknown_algorithm_names_the_nearest() -> None:
    with pytest.raises(UnknownAlgorithm, match=r"'surogate'; did you mean 'surrogate'\? Allowed: random, nsga2"):
        create_algorithm("surogate", pose(SPACE, TWO), 0)


def _wide_space() -> SearchSpace:
    """300 million architectures: candidates must be generated, not listed."""
    return SearchSpace(
        {
            **{f"layers.{i}.width": Ordinal(1, 2, 3, 4, 5, 6) for i in range(6)},
            **{f"layers.{i}.mixer": Categorical("a", "b", "c", "d", "e") for i in range(5)},
            **{f"skip.{i}": Categorical(False, True) for i in range(2)},
        }
    )


def _wide_metrics(architecture: Architecture) -> dict[str, float]:
    widths = np.array([float(architecture[f"layers.{i}.width"]) for i in range(6)])
    mixers = np.array(["abcde".index(str(architecture[f"layers.{i}.mixer"])) for i in range(5)])
    gains = np.array([0.0, 0.9, 0.4, 1.5, 0.7])[mixers]
    prices = np.array([0.0, 1.0, 2.0, 2.5, 0.5])[mixers]
    quality = np.log(widths).sum() + gains.sum() + (mixers[1:] == mixers[:-1]).sum() * -0.3
    quality += 0.5 * (architecture["skip.0"] is True)
    return {"error": float(np.exp(-quality / 6)), "cost": float(widths.sum() + prices.sum())}


class TestSurrogate:
    @pytest.mark.slow
    @pytest.mark.parametrize("known", ["cost computed", "cost measured"])
    def test_it_beats_random_search_on_a_space_too_large_to_list(self, known: str) -> None:
        """Fixed seeds, so nothing here is left to chance; random search gets ten times as many."""
        space = _wide_space()
        costs = {"cost": lambda a: _wide_metrics(a)["cost"]} if known == "cost computed" else {}

        def reached(algorithm: str, seed: int, evaluations: int) -> float:
            result = search(
                space,
                _wide_metrics,
                TWO,
                algorithm=algorithm,
                evaluations=evaluations,
                seed=seed,
                costs=costs,
            )
            return result.hypervolume({"error": 1.0, "cost": 50.0})

        learned = [reached("surrogate", seed, 50) for seed in range(2)]
        drawn = [reached("random", seed, 500) for seed in range(2)]
        assert min(learned) > max(drawn)

    @pytest.mark.slow
    def test_it_finds_the_optimum_of_a_single_objective(self) -> None:
        best = min(error(architecture) for architecture in SPACE.enumerate())
        for seed in range(2):
            result = search(SPACE, measure, {"error": "minimize"}, evaluations=60, seed=seed)
            assert result.front[0].values["error"] == best

    @pytest.mark.slow
    def test_it_finds_the_true_front_of_a_small_space(self) -> None:
        every = [measure(architecture) for architecture in SPACE.enumerate()]
        points = np.array([[values["error"], values["cost"]] for values in every])
        reference = points.max(axis=0)
        true = hypervolume(points, reference)
        result = search(SPACE, measure, TWO, evaluations=120, costs={"cost": cost})
        found = result.hypervolume({"error": reference[0], "cost": reference[1]})
        assert found > 0.999 * true

    @pytest.mark.slow
    def test_it_keeps_to_bounds_on_computed_costs_once_it_learns(self) -> None:
        result = search(
            layered_space(6), measure, TWO, evaluations=50, costs={"cost": cost}, bounds={"cost": (None, 60.0)}
        )
        planned = result.evaluations[12:]
        assert all(evaluation.values["cost"] <= 60.0 for evaluation in planned)

    @pytest.mark.slow
    def test_it_learns_bounds_on_measured_metrics(self) -> None:
        space = layered_space(6)
        bounds = {"cost": (None, 60.0)}
        kept = {}
        for algorithm in ("random", "surrogate"):
            result = search(space, measure, TWO, algorithm=algorithm, evaluations=50, bounds=bounds)
            kept[algorithm] = sum(e.values["cost"] <= 60.0 for e in result.evaluations[12:])
        assert kept["surrogate"] > 25 > 10 > kept["random"]

    @pytest.mark.slow
    def test_it_learns_where_evaluations_fail(self) -> None:
        result = search(layered_space(6), fragile, TWO, evaluations=60)
        assert sum(e.state == "failed" for e in result.evaluations[30:]) < 5

    @pytest.mark.slow
    def test_an_error_of_zero_that_comes_late_does_no_harm(self) -> None:
        space = layered_space()
        best = min(space.enumerate(), key=error)

        def metrics(architecture: Architecture) -> dict[str, float]:
            values = measure(architecture)
            return {**values, "error": 0.0} if architecture == best else values

        history = search(space, metrics, TWO, evaluations=30, seed=1).evaluations
        history = tuple(e for e in history if e.architecture != best)
        history += (Evaluation.complete(best, metrics(best)),)
        result = search(space, metrics, TWO, evaluations=60, seed=1, history=history)
        points = np.array([list(metrics(a).values())[:2] for a in space.enumerate()])
        reference = dict(zip(TWO, points.max(axis=0), strict=True))
        assert result.hypervolume(reference) > 0.99 * hypervolume(points, points.max(axis=0))


class TestNsga2:
    @pytest.mark.slow
    def test_it_beats_random_search_once_generations_have_passed(self) -> None:
        """Fixed seeds; the mean over seeds is compared, since single runs of both may overlap."""
        space, reference = _wide_space(), {"error": 1.0, "cost": 50.0}

        def reached(algorithm: str) -> float:
            runs = [
                search(space, _wide_metrics, TWO, algorithm=algorithm, evaluations=200, seed=seed) for seed in range(4)
            ]
            return float(np.mean([run.hypervolume(reference) for run in runs]))

        assert reached("nsga2") > 1.02 * reached("random")
