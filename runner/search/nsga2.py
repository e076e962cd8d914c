"""Owns NSGA-II (Deb et al. 2002) as Optuna implements it, driven by ask and tell in memory.

Optuna is imported here and nowhere else. Its study holds what was told and nothing else that matters: every
told architecture is replayed as a fixed trial, and a proposal comes from a trial that is given up at once,
drawn by a sampler that is seeded anew. Optuna's record would otherwise depend on what was asked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import TrialState

from runner.search.protocol import Record
from search_spaces import InvalidArchitecture, Ordinal

if TYPE_CHECKING:
    import random

    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from runner.search.evaluation import Evaluation
    from runner.search.problem import Problem
    from search_spaces import Architecture, SearchSpace, Value

POPULATION = 20  # small generations suit budgets of hundreds of evaluations
_REPAIRS = 64  # changes of single answers before an infeasible proposal is replaced by a random architecture


class Nsga2:
    """Answers are positions in the list of values of a choice; inactive choices take the first."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._record = Record(problem, seed)
        self._distributions = _distributions(problem.space)
        # Optuna announces every new study on standard error, whatever its name.
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._study = optuna.create_study(
                directions=["minimize"] * len(problem.objectives), sampler=self._sampler(0)
            )
        finally:
            optuna.logging.set_verbosity(verbosity)

    def tell(self, evaluation: Evaluation) -> None:
        self._record.tell(evaluation)
        answers = {
            name: _index(choice.values, evaluation.architecture.get(name))
            for name, choice in self._problem.space.choices.items()
        }
        self._study.enqueue_trial(answers)
        trial = self._study.ask()
        self._answer(trial)
        # A fixed trial never reaches the sampler, which would have noted the generation it belongs to.
        noted = self._study.get_trials(deepcopy=False)[trial.number]
        self._sampler(0).get_trial_generation(self._study, noted)
        if evaluation.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        # A trial without constraint values counts as feasible, so they are set before it is told.
        if self._problem.bounds:
            trial.set_constraint("violation", self._problem.violation(evaluation.values))
        self._study.tell(trial, list(self._problem.oriented(evaluation.values)))

    def expect(self, architecture: Architecture) -> None:
        self._record.promise(architecture)

    def ask(self, count: int) -> list[Architecture]:
        proposals: list[Architecture] = []
        for _ in range(count):
            rng = self._record.rng("nsga2")
            architecture = self._record.supply.nearest(self._propose(rng), rng)
            if architecture is None:
                break
            self._record.promise(architecture)
            proposals.append(architecture)
        return proposals

    def _propose(self, rng: random.Random) -> Architecture:
        self._study.sampler = self._sampler(rng.getrandbits(32))
        trial = self._study.ask()
        indices = self._answer(trial)
        self._study.tell(trial, state=TrialState.FAIL)
        return _repaired(self._problem.space, indices, rng)

    def _answer(self, trial: Trial) -> dict[str, int]:
        """The positions that a trial holds or draws, choice by choice."""
        return {
            name: trial.suggest_int(name, 0, distribution.high)
            if isinstance(distribution, IntDistribution)
            else int(str(trial.suggest_categorical(name, distribution.choices)))
            for name, distribution in self._distributions.items()
        }

    def _sampler(self, seed: int) -> NSGAIISampler:
        return _FixedSpaceSampler(self._distributions, seed)


class _FixedSpaceSampler(NSGAIISampler):
    """Takes the parameters from the search space instead of inferring them from the trials at every step."""

    def __init__(self, distributions: dict[str, IntDistribution | CategoricalDistribution], seed: int) -> None:
        super().__init__(population_size=POPULATION, seed=seed)
        self._relative: dict[str, BaseDistribution] = {
            name: distribution for name, distribution in distributions.items() if not distribution.single()
        }

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._relative

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        # Optuna returns the parents in order of rank when it selects them and in order of number when it
        # remembers them. Only one order makes a rebuilt search repeat the first.
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def _distributions(space: SearchSpace) -> dict[str, IntDistribution | CategoricalDistribution]:
    """Positions as integers where values are ordered, as categories where they are not."""
    return {
        name: IntDistribution(0, len(choice.values) - 1)
        if isinstance(choice, Ordinal)
        else CategoricalDistribution(range(len(choice.values)))
        for name, choice in space.choices.items()
    }


def _index(values: tuple[Value, ...], answer: Value | None) -> int:
    return 0 if answer is None else values.index(answer)


def _repaired(space: SearchSpace, indices: dict[str, int], rng: random.Random) -> Architecture:
    """The architecture of these positions; single answers are drawn anew until constraints hold."""
    answers = {name: choice.values[indices[name]] for name, choice in space.choices.items()}
    for _ in range(_REPAIRS):
        try:
            return space.canonical(answers)
        except InvalidArchitecture:
            name = rng.choice(space.names)
            answers[name] = rng.choice(space.choices[name].values)
    return space.sample(rng)
