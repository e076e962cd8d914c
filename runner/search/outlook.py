"""Owns what is believed about metrics before they are measured: models of them, and exact computed costs.

Which candidates to look at and which to propose is the business of `candidates` and `surrogate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from predictors.gaussian_process import GaussianProcess
from runner.search.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from predictors.features import Features
    from predictors.gaussian_process import Posterior
    from runner.search.evaluation import Evaluation
    from runner.search.problem import Problem
    from search_spaces import Architecture

FloatArray = npt.NDArray[np.float64]

_LEAST_COMPLETION = 0.01  # a model of failures is never so sure that it forbids


@dataclass(frozen=True, kw_only=True, eq=False)
class Knowledge:
    """What complete evaluations tell about every metric that the problem names."""

    problem: Problem
    scales: Mapping[str, Scale]
    models: Mapping[str, GaussianProcess]  # one a measured metric; one a cost too, where costs are guessed
    completion: GaussianProcess | None = None  # of 1 for complete and 0 for failed, once something failed

    @classmethod
    def learned(
        cls,
        problem: Problem,
        features: Features,
        complete: Sequence[Evaluation],
        *,
        guess_costs: bool,
        seed: int,
    ) -> Knowledge:
        """Fit scales and models from scratch; at least one evaluation is needed."""
        scales, models = {}, {}
        for name in _metrics(problem):
            values = np.array([evaluation.values[name] for evaluation in complete])
            scales[name] = Scale.learned(values)
            if guess_costs or name not in problem.costs:
                models[name] = GaussianProcess.fit(features, scales[name].forward(values), seed)
        return cls(problem=problem, scales=scales, models=models)

    def extended(self, features: Features, complete: Sequence[Evaluation]) -> Knowledge:
        """The same scales and hyperparameters, conditioned on other evaluations."""
        models = {
            name: GaussianProcess.conditioned(
                model.hyperparameters,
                features,
                self.scales[name].forward([evaluation.values[name] for evaluation in complete]),
            )
            for name, model in self.models.items()
        }
        return replace(self, models=models)

    def warned(self, features: Features, completed: Sequence[bool], seed: int) -> Knowledge:
        """The same knowledge with a model of which architectures fail, from complete and failed ones."""
        model = GaussianProcess.fit(features, np.array(completed, dtype=np.float64), seed)
        return replace(self, completion=model)

    def believing(self, features: Features) -> Knowledge:
        """The same knowledge as if some architectures had been measured and had given what is expected."""
        models = {name: model.believing(features, model.predict(features)[0]) for name, model in self.models.items()}
        return replace(self, models=models)

    def minimised(self, complete: Sequence[Evaluation]) -> FloatArray:
        """The objectives of evaluations on the learned scales, smaller is better, a row each."""
        columns = [
            _sign(goal) * self.scales[name].forward([evaluation.values[name] for evaluation in complete])
            for name, goal in self.problem.objectives.items()
        ]
        return np.stack(columns, axis=1)

    def look(self, architectures: Sequence[Architecture], features: Features) -> Outlook:
        """What to expect of candidates, with the costs computed."""
        exact = {
            name: self.scales[name].forward([self.problem.costs[name](a) for a in architectures])
            for name in self.scales
            if name in self.problem.costs
        }
        posteriors = {name: model.posterior(features) for name, model in self.models.items() if name not in exact}
        return Outlook(knowledge=self, exact=exact, posteriors=posteriors, completion=self._completion(features))

    def glance(self, features: Features) -> Outlook:
        """What to expect of candidates, with the costs guessed like everything else."""
        posteriors = {name: model.posterior(features) for name, model in self.models.items()}
        return Outlook(knowledge=self, exact={}, posteriors=posteriors, completion=self._completion(features))

    def _completion(self, features: Features) -> FloatArray:
        if self.completion is None:
            return np.ones(len(features))
        return np.clip(self.completion.predict(features)[0], _LEAST_COMPLETION, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """The metrics of some candidates: normal where measured, known where computed."""

    knowledge: Knowledge
    exact: Mapping[str, FloatArray]
    posteriors: Mapping[str, Posterior]
    completion: FloatArray  # the probability that an evaluation does not fail

    @cached_property
    def mean(self) -> FloatArray:
        """Objectives, smaller is better: a row a candidate."""
        objectives = self.knowledge.problem.objectives
        return np.stack([_sign(goal) * self._mean(name) for name, goal in objectives.items()], axis=1)

    @cached_property
    def std(self) -> FloatArray:
        """Standard deviations of the objectives; 0 where a value is computed."""
        return np.stack([self._std(name) for name in self.knowledge.problem.objectives], axis=1)

    @cached_property
    def log_feasibility(self) -> FloatArray:
        """The log probability of completing within all bounds; very negative if an exact value breaks one."""
        total = np.log(self.completion)
        for name, limits in self.knowledge.problem.bounds.items():
            for side, limit in zip((-1.0, 1.0), limits, strict=True):
                if limit is None:
                    continue
                scale = self.knowledge.scales[name]
                edge = float(scale.forward(limit)) if np.isfinite(limit) else float(limit)
                slack = side * (edge - self._mean(name))
                total += _log_probability(slack, self._std(name))
        return total

    def take(self, rows: npt.NDArray[np.int64]) -> Outlook:
        """Some of the candidates."""
        return replace(
            self,
            exact={name: values[rows] for name, values in self.exact.items()},
            posteriors={name: posterior.take(rows) for name, posterior in self.posteriors.items()},
            completion=self.completion[rows],
        )

    def believing(self, candidate: int) -> Outlook:
        """The outlook if this candidate were measured and gave what is expected."""
        posteriors = {name: posterior.believing(candidate) for name, posterior in self.posteriors.items()}
        return replace(self, posteriors=posteriors)

    def _mean(self, name: str) -> FloatArray:
        return self.exact[name] if name in self.exact else self.posteriors[name].mean

    def _std(self, name: str) -> FloatArray:
        return np.zeros(len(self.exact[name])) if name in self.exact else self.posteriors[name].std


def _metrics(problem: Problem) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*problem.objectives, *problem.bounds]))


def _sign(goal: str) -> float:
    return 1.0 if goal == "minimize" else -1.0


def _log_probability(slack: FloatArray, std: FloatArray) -> FloatArray:
    """log P(slack + noise >= 0). Certain values get 0 or a penalty that grows with the distance."""
    uncertain = np.asarray(log_ndtr(slack / np.where(std > 0, std, 1.0)))
    certain = np.where(slack >= 0, 0.0, -1e6 * (1.0 + np.abs(slack)))
    return np.where(std > 0, uncertain, certain)
