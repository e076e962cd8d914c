"""What a specification means here, and whether it can succeed: asked before anything is paid for.

Owns the check of names, options, metrics and bounds against the packages below, and nothing that lasts.
"""

from __future__ import annotations

import math
import random
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from predictors.costs import cost, model_size
from predictors.design import spread
from runner.errors import ExtensionError, SpecError, Unreachable
from runner.formats import formats_for, refuse
from runner.front import NAMED_POINTS
from runner.recipes import check_training
from runner.registered.own_check import check_own_factory, check_own_patterns
from runner.registered.resolving import family_of, open_family, task_of
from runner.registered.values import NOTHING, Registered
from runner.search.registry import algorithm_names
from runner.study import COMPUTED, SpaceSpec, StudySpec
from search_spaces import SpaceError
from search_spaces.compression import FULL_PRECISION
from supernet.errors import IncompatibleTask, OptionError, UnknownName
from supernet.export.bundle import MAIN
from supernet.export.kernels import missing_kernel
from supernet.export.runtime import runtime_version
from supernet.models.family import CONTEXT_TOKENS, LATENCY
from supernet.pretrained.ranked import ranked
from supernet.shared_weights import SharedWeights
from supernet.skeleton import build_outline, build_real
from supernet.slicing import Layouts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from runner.search.problem import Bound, Goal
    from search_spaces import Architecture, SearchSpace
    from supernet.models.family import ModelFamily, Workload
    from supernet.pretrained.ranked import LayerRanks
    from supernet.skeleton import Build
    from supernet.tasks.task import Task

SAMPLED = 64  # architectures whose modules and costs say what the space holds
_SCORES = {
    **dict.fromkeys(("error", "accuracy", "eer"), (0.0, 1.0)),
    **dict.fromkeys(("loss", "bits_per_byte"), (0.0, math.inf)),
    "perplexity": (1.0, math.inf),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A specification with everything that its names stand for."""

    spec: StudySpec
    task: Task
    family: ModelFamily
    space: SearchSpace
    build: Build
    registered: Registered = NOTHING

    def shared_weights(self, values: Mapping[str, Tensor] | None = None, layer_ranks: LayerRanks = ()) -> SharedWeights:
        """The shared weights as initialised, or with the given values looked into, which may be of ranked layers."""
        build = ranked(self.build, layer_ranks)
        return SharedWeights(build, self.space, layouts=self.layouts, values=values, seed=self.spec.seed)

    @property
    def layouts(self) -> Layouts:
        """What the family declares."""
        return Layouts(self.family.layouts, unused=True)  # a study may narrow away what a pattern is about

    @property
    def goals(self) -> dict[str, Goal]:
        """Which way each objective is better."""
        return self.spec.goals

    @property
    def bounds(self) -> dict[str, Bound]:
        """The hard limits, as the search takes them."""
        return self.spec.bounds

    @property
    def computed(self) -> tuple[str, ...]:
        """The objectives that follow from structure."""
        return tuple(name for name in self.goals if name in COMPUTED or name in self.family.costs)

    @property
    def latencies(self) -> tuple[str, ...]:
        """The objectives that are timed on the device."""
        return tuple(name for name in self.goals if name in self.family.latencies)

    def workload(self, module: nn.Module, metric: str) -> Workload:
        """What a latency objective times of a module."""
        return self.family.latencies[metric](module, self.task.example(2), self.spec.objectives[metric].tokens)


def plan(spec: StudySpec, registered: Registered = NOTHING) -> Plan:
    """Resolve a specification and check all of it.

    Raises `SpecError` or `Unreachable`, naming the field and what is possible, and `NotFound` for data that is gone.
    """
    made = resolve(spec, registered)
    _check_goals(made)
    _check_algorithm(spec)
    _check_builds(made)
    _check_own_family(made)
    _check_kernels(made)
    _check_score_bounds(made)
    _check_computed_bounds(made)
    _check_points(spec)
    _check_formats(made)
    check_training(made)
    return made


def resolve(spec: StudySpec, registered: Registered = NOTHING) -> Plan:
    """What the names of a specification stand for.  Raises `SpecError` where one stands for nothing."""
    try:
        task = task_of(spec.task, registered)
    except (UnknownName, OptionError, ExtensionError) as error:
        raise SpecError(f"task: {error}") from error
    try:
        family = family_of(spec.space, task, registered)
    except (SpaceError, UnknownName, IncompatibleTask, ExtensionError) as error:
        raise SpecError(f"space: {error}") from error
    return Plan(
        spec=spec, task=task, family=family.model, space=family.space, build=family.build, registered=registered
    )


def computed_costs(architecture: Architecture, planned: Plan) -> dict[str, float]:
    """Every computed cost of an architecture, from a module without trained weights."""
    outline = build_outline(planned.build, architecture, planned.spec.seed)
    size = model_size(outline)
    costs = {"parameters": float(size.parameters), "model_bytes": float(size.model_bytes)}
    for name in planned.computed:
        if name in planned.family.costs:
            costs[name] = planned.family.costs[name](outline, planned.spec.objectives[name].tokens)
    if set(planned.computed) - set(costs):
        full = cost(planned.build(architecture), planned.task.example(1))
        costs |= {"macs": float(full.macs), "peak_activation_bytes": float(full.peak_activation_bytes)}
    return costs


def _check_goals(planned: Plan) -> None:
    spec, family = planned.spec, planned.family
    own = [name for name in (*family.latencies, *family.costs) if name != LATENCY]
    natural: dict[str, Goal] = {
        **planned.task.metrics,
        **dict.fromkeys((*COMPUTED, *family.latencies, *family.costs), "minimize"),
    }
    for name, goal in spec.goals.items():
        if name not in natural:
            raise SpecError(f"objectives.{name}: unknown metric; allowed: {', '.join(natural)}.")
        if goal != natural[name]:
            raise SpecError(
                f"objectives.{name}.goal: {name} is better when {natural[name]}d; write goal: {natural[name]}."
            )
        if name not in own and spec.objectives[name].tokens != CONTEXT_TOKENS:
            raise SpecError(
                f"objectives.{name}.tokens: {name} does not depend on a number of tokens; leave it out"
                f"{f' (it has a meaning for {chr(44).join(own)})' if own else ''}."
            )


def _check_algorithm(spec: StudySpec) -> None:
    known = algorithm_names()
    if spec.search.algorithm not in known:
        raise SpecError(f"search.algorithm: {spec.search.algorithm!r} is unknown; allowed: {', '.join(known)}.")


def _check_builds(planned: Plan) -> None:
    """One architecture for each value of each choice is built, and many more: values that do not fit each other."""
    architectures = spread(planned.space, SAMPLED, random.Random(planned.spec.seed))
    for name, choice in planned.space.choices.items():
        for value in choice.values:
            with suppress(SpaceError):  # the constraints leave no architecture with this value
                architectures.append(planned.space.fix({name: value}).largest())
    for architecture in dict.fromkeys(architectures):
        try:
            build_outline(planned.build, architecture, planned.spec.seed)
        except ValueError as error:
            raise SpecError(f"space.choices: {error}") from error


def _check_own_family(planned: Plan) -> None:
    """What `supernaut check` would say first of a family of one's own."""
    asked = planned.spec.space
    entry = planned.registered.extension(asked.name)
    if entry is None or entry.kind != "family":
        return
    ends = [planned.space.smallest(), planned.space.largest()]
    layouts = Layouts(planned.family.layouts, unused=True)
    try:
        check_own_factory(entry, planned.build, ends, planned.task, layouts, planned.spec.seed)
        whole = (open_family(SpaceSpec(name=asked.name), planned.registered).space for _ in range(1))
        check_own_patterns(entry, planned.build, chain([planned.space], whole), layouts)
    except ExtensionError as error:
        raise SpecError(f"space: {error}") from error


def _check_kernels(planned: Plan) -> None:
    """Refuse bits that the runtime on this machine cannot multiply with."""
    for name, choice in planned.space.choices.items():
        if name.rpartition(".")[2] != "bits":
            continue
        reasons = {value: missing_kernel(value) for value in choice.values if isinstance(value, int)}
        for value, reason in reasons.items():
            if reason is not None:
                usable = ", ".join(str(other) for other in choice.values if reasons.get(other) is None)  # type: ignore[arg-type]
                raise SpecError(
                    f"space.choices: {name} offers {value} bits, for which {runtime_version()} has no kernel here "
                    f"({reason}); choose among: {usable or FULL_PRECISION}."
                )


def _check_computed_bounds(planned: Plan) -> None:
    """Refuse a bound beyond what any of many architectures, spread over the space, reaches."""
    bounded = [name for name in planned.computed if name in planned.bounds]
    if not bounded:
        return
    sampled = spread(planned.space, SAMPLED, random.Random(planned.spec.seed))
    costs = [computed_costs(architecture, planned) for architecture in sampled]
    for name in bounded:
        values = [one[name] for one in costs]
        low, high = planned.bounds[name]
        if (low is not None and low > max(values)) or (high is not None and high < min(values)):
            raise Unreachable(
                f"objectives.{name}: no architecture of the space keeps the bounds; {len(values)} of them reach from "
                f"{min(values):,.0f} to {max(values):,.0f}. Change the bounds or the space's choices."
            )


def _check_score_bounds(planned: Plan) -> None:
    """Refuse what no model on earth can score."""
    for name, (low, high) in planned.bounds.items():
        least, most = _SCORES.get(name, (-math.inf, math.inf))
        if (high is not None and high < least) or (low is not None and low > most):
            raise Unreachable(f"objectives.{name}: {name} lies between {least:g} and {most:g}; change the bound.")


def _check_formats(planned: Plan) -> None:
    """Refuse files that neither end of the space can be exported as."""
    asked, field = planned.spec.export.formats, "export.formats"
    if asked == [MAIN]:
        return
    small, large = (
        formats_for(asked, build_real(planned.build, end, planned.spec.seed), planned.task, field)[1]
        for end in (planned.space.smallest(), planned.space.largest())
    )
    refuse({name: reason for name, reason in small.items() if name in large}, field)


def _check_points(spec: StudySpec) -> None:
    for point in spec.retrain.points:
        if point not in NAMED_POINTS and (len(point) < 4 or set(point) - set("0123456789abcdef")):
            raise SpecError(
                f"retrain.points: {point!r} is neither 'knee' nor 'ends' nor the beginning (4 or more hexadecimal "
                "digits) of an architecture's digest."
            )
