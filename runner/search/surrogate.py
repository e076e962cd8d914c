"""Owns the search that learns: models of what is measured, proposals by expected gain in hypervolume.

A few architectures are drawn first. Then proposals are planned in small batches: candidates are scored by
the gain in hypervolume that the models expect of them, the best one is believed to give what is expected of
it, and so on (the "believer" of Ginsbourger, Le Riche and Carraro 2010). Some places of each batch are kept
for neighbours of the front, because no model is right everywhere. The models belong to `outlook`, the gain to
`goal` and `improvement`, candidates to `candidates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from runner.search.candidates import CandidateSource
from runner.search.goal import Goal
from runner.search.outlook import Knowledge
from runner.search.protocol import Record, stream

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from predictors.features import Features
    from runner.search.evaluation import Evaluation
    from runner.search.outlook import Outlook
    from runner.search.problem import Problem
    from runner.search.supply import Supply
    from search_spaces import Architecture

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

INITIAL = 12  # the smallest, the largest and random ones, before anything is modelled
SMALLEST_BATCH, LARGEST_BATCH = 2, 20  # early batches are small, because each result changes much
REFIT_ALWAYS = 200  # up to here hyperparameters are learned anew for every batch,
REFIT_GROWTH = 1.15  # beyond whenever the evaluations have grown by this factor
MODEL_POINTS = 500  # the cost of a model grows with the cube of its points
SHORT_LIST = 300  # candidates among which a batch is chosen: the best,
SHORT_LIST_NEAR = 100  # and the best of those near the front
CLIMBS, CLIMBERS = 2, 6  # rounds of looking at the neighbours of the best candidates, and of how many
RESCORED = 32  # rows scored together while a batch is chosen
LOCAL_EVERY = 3  # every third proposal is a neighbour of the front


class Surrogate:
    """Learns from every evaluation; `ask` is served from a batch planned when the last one ran out.

    A batch depends on the evaluations told when it began (and on what was pending then), so that an instance
    that is told an interrupted history goes on in the middle of a batch with the same proposals.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self._record = Record(problem, seed)
        self._source = CandidateSource(problem, self._record.supply)
        self._batch: tuple[int, list[Architecture]] = (0, [])  # where it began, and its architectures
        self._learned: tuple[int, Knowledge] | None = None

    def tell(self, evaluation: Evaluation) -> None:
        self._record.tell(evaluation)

    def expect(self, architecture: Architecture) -> None:
        self._record.promise(architecture)

    def ask(self, count: int) -> list[Architecture]:
        proposals: list[Architecture] = []
        for _ in range(count):
            architecture = self._next()
            if architecture is None:
                break
            self._record.promise(architecture)
            proposals.append(architecture)
        return proposals

    def _next(self) -> Architecture | None:
        position, supply = self._record.position, self._record.supply
        if position < INITIAL:
            return self._initial(position)
        start, size = _batch_around(position)
        if self._batch[0] != start and supply.remaining:
            # Small matrices: on a busy machine BLAS threads wait for each other far longer than they compute.
            with threadpool_limits(1, user_api="blas"):
                self._batch = (start, self._plan(start, size))
        left = (architecture for architecture in self._batch[1] if supply.available(architecture))
        return next(left, None) or supply.draw(self._record.rng("surrogate"))

    def _initial(self, position: int) -> Architecture | None:
        rng = self._record.rng("surrogate")
        anchors = (self._problem.space.smallest, self._problem.space.largest)
        if position < len(anchors):
            return self._record.supply.nearest(anchors[position](), rng)
        return self._record.supply.draw(rng)

    def _plan(self, start: int, size: int) -> list[Architecture]:
        """The best of what is available, given the evaluations told before the batch began."""
        rng = stream("surrogate", self._seed, start, len(self._record.pending))
        later = [evaluation.architecture for evaluation in self._record.told[start:]]
        supply = self._record.supply.releasing(later)
        complete = [e for e in self._record.told[:start] if e.state == "complete"]
        if not complete:
            return []
        knowledge = self._knowledge(complete, rng)
        recent = self._record.told[:start][-MODEL_POINTS:]
        if any(evaluation.state == "failed" for evaluation in recent):
            features = self._source.layout.extract([e.architecture for e in recent])
            knowledge = knowledge.warned(features, [e.state == "complete" for e in recent], self._seed)
        goal = Goal.of(knowledge, complete)
        pending = list(self._record.pending)
        if pending:
            features = self._source.layout.extract(pending)
            goal = goal.believing(knowledge.look(pending, features), range(len(pending)))
            knowledge = knowledge.believing(features)
        parents = self._source.layout.extract(goal.parents)
        rows = self._short_list(knowledge, goal.rough(), parents, supply, rng)
        architectures, features = self._source.realised(rows, supply)
        if not architectures:
            return []
        near = _nearest(features.distances_to(parents))
        places = range(start, start + min(size, len(architectures)))
        chosen = _choose(knowledge.look(architectures, features), goal, near, places)
        return [architectures[row] for row in chosen]

    def _short_list(
        self, knowledge: Knowledge, goal: Goal, parents: Features, supply: Supply, rng: random.Random
    ) -> Features:
        """Candidates around the front and neighbours of the best; of these the best, and the best near."""
        generator = np.random.default_rng(rng.getrandbits(64))
        candidates = self._source.around(parents, supply, generator)
        scores = goal.scores(self._view(knowledge, candidates, supply))
        for _ in range(CLIMBS):
            best = candidates.take(np.argsort(-scores, kind="stable")[:CLIMBERS])
            more = self._source.neighbours(best, beyond=candidates)
            if len(more) == 0:
                break
            scores = np.concatenate([scores, goal.scores(self._view(knowledge, more, supply))])
            candidates = candidates.joined(more)
        # Equal scores, such as those of candidates that promise nothing, must not favour the first values.
        order = np.lexsort((generator.random(len(scores)), -scores))
        near = order[_nearest(candidates.distances_to(parents))[order]]
        kept = dict.fromkeys([*order[:SHORT_LIST].tolist(), *near[:SHORT_LIST_NEAR].tolist()])
        return candidates.take(list(kept))

    def _view(self, knowledge: Knowledge, candidates: Features, supply: Supply) -> Outlook:
        """Where all is listed, costs are computed (once); generated candidates are too many for that."""
        if not self._source.listed:
            return knowledge.glance(candidates)
        return knowledge.look(*self._source.realised(candidates, supply))

    def _knowledge(self, complete: Sequence[Evaluation], rng: random.Random) -> Knowledge:
        """Models of the evaluations, with hyperparameters learned at the last point of a fixed schedule."""
        count = _refit_point(len(complete))
        if self._learned is None or self._learned[0] != count:
            features = self._source.layout.extract([e.architecture for e in complete[:count]])
            learned = Knowledge.learned(
                self._problem,
                features,
                complete[:count],
                guess_costs=not self._source.listed,
                seed=self._seed,
            )
            self._learned = (count, learned)
        learned = self._learned[1]
        if len(complete) == count <= MODEL_POINTS:
            return learned
        rows = _worth_modelling(learned.minimised(complete), rng)
        kept = [complete[row] for row in rows]
        return learned.extended(self._source.layout.extract([e.architecture for e in kept]), kept)


def _choose(outlook: Outlook, goal: Goal, near: BoolArray, places: range) -> list[int]:
    """Rows chosen one after the other, each believed to give what is expected of it.

    Believing shrinks every gain, so that a score from an earlier step is an upper bound: only the rows that
    could still win are scored anew (the lazy greedy algorithm of Minoux 1978).
    """
    chosen: list[int] = []
    scores = goal.scores(outlook)
    for place in places:
        open_rows = np.ones(len(near), dtype=np.bool_)
        open_rows[chosen] = False
        if place % LOCAL_EVERY == 0 and (open_rows & near).any():
            open_rows &= near
        current = np.full(len(near), not chosen)
        while True:
            ranked = np.flatnonzero(open_rows)[np.argsort(-scores[open_rows], kind="stable")]
            if current[ranked[0]]:
                break
            stale = ranked[~current[ranked]][:RESCORED]
            scores[stale] = goal.scores(outlook.take(stale))
            current[stale] = True
        row = int(ranked[0])
        chosen.append(row)
        goal = goal.believing(outlook, [row])
        outlook = outlook.believing(row)
    return chosen


def _nearest(distances: FloatArray) -> BoolArray:
    """Which candidates differ from a parent in one answer, or in as few as any candidate does."""
    return distances <= max(1.0, float(distances.min())) + 1e-9


def _batch_around(position: int) -> tuple[int, int]:
    """Where the batch that holds this proposal begins, and how many of its places are left from there on."""
    start = INITIAL
    while True:
        size = min(max(start // 12, SMALLEST_BATCH), LARGEST_BATCH)
        if position < start + size:
            return start, size
        start += size


def _refit_point(count: int) -> int:
    """The largest scheduled number of evaluations that is no greater than this one."""
    point = REFIT_ALWAYS
    if count <= point:
        return count
    while int(point * REFIT_GROWTH) <= count:
        point = int(point * REFIT_GROWTH)
    return point


def _worth_modelling(values: FloatArray, rng: random.Random) -> list[int]:
    """At most MODEL_POINTS rows: half those that the fewest others dominate, half at random."""
    count = len(values)
    if count <= MODEL_POINTS:
        return list(range(count))
    dominators = np.array([int((values <= row).all(axis=1).sum()) for row in values])
    order = np.argsort(dominators, kind="stable").tolist()
    others = rng.sample(order[MODEL_POINTS // 2 :], MODEL_POINTS - MODEL_POINTS // 2)
    return sorted([*order[: MODEL_POINTS // 2], *others])
