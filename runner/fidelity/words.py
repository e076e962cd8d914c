"""What a comparison says, in sentences: the same in the terminal and on the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.dashboard.words import decimals_for, number, plural
from runner.fidelity.report import COST, EXPORTED, INHERITED, KINDS, RETRAINED

if TYPE_CHECKING:
    from predictors.bootstrap import Estimate
    from predictors.fidelity import Comparison
    from runner.fidelity.report import FidelityReport

KIND = {
    INHERITED: "shared weights",
    RETRAINED: "retrained from shared weights",
    EXPORTED: "the exported file",
}
_NEARLY_ALL_TIED = 0.05  # of the pairs; from here on ties are worth a word


def name_of(kind: str, report: FidelityReport) -> str:
    """What a ranking goes by."""
    return f"{report.cost} alone" if kind == COST else KIND[kind]


def interval(estimate: Estimate, decimals: int = 2) -> str:
    """A number with its 90 % interval, as far as they are defined."""
    if not math.isfinite(estimate.value):
        return "undefined"
    words = f"{estimate.value:.{decimals}f}"
    if math.isfinite(estimate.lower) and math.isfinite(estimate.upper):
        words += f" ({estimate.lower:.{decimals}f} to {estimate.upper:.{decimals}f})"
    return words


def sentences(report: FidelityReport) -> tuple[str, ...]:
    """What to know, the most important first."""
    said = [_progress(report)]
    inherited = report.comparisons.get(INHERITED)
    if inherited is None:
        return (*said, "Fewer than three architectures have both scores: there is nothing to compare yet.")
    said += [_ranking(report, inherited), _ceiling(report, inherited), _regret(report, inherited)]
    if report.near_knee is not None:
        said.append(_near_knee(report))
    if inherited.tied >= _NEARLY_ALL_TIED:
        said.append(
            f"{inherited.tied:.0%} of the pairs have the same score with shared weights; tau-b counts a tie as neither "
            "right nor wrong."
        )
    return tuple(words for words in said if words)


COLUMNS = ("ranking by", "architectures", "Kendall's tau-b", "Spearman's rho", "of the ceiling", "regret")


def table_rows(report: FidelityReport) -> tuple[tuple[str, ...], ...]:
    """Every ranking against training alone, in the order of `COLUMNS`; the ceiling comes last."""
    means = [one.mean for one in report.architectures if one.mean is not None]
    decimals = decimals_for(means)
    rows = [
        (
            name_of(kind, report),
            f"{one.count:,}",
            interval(one.kendall),
            interval(one.spearman),
            "" if one.share is None else interval(one.share),
            number(one.regret, decimals),
        )
        for kind in KINDS
        if (one := report.comparisons.get(kind)) is not None
    ]
    if report.ceiling is not None:
        ceiling = report.ceiling
        numbers = (interval(ceiling.kendall), interval(ceiling.spearman), "", number(ceiling.regret, decimals))
        rows.append(("another training alone", f"{ceiling.count:,}", *numbers))
    return tuple(rows)


def _progress(report: FidelityReport) -> str:
    seeds = ", ".join(map(str, report.seeds))
    words = (
        f"{report.trained} of {plural(len(report.architectures), 'architecture')}, spread over their {report.cost}, "
        f"trained alone from fresh weights for {plural(report.steps, 'step')} (seed{'s' * (len(report.seeds) > 1)} "
        f"{seeds})."
    )
    if not report.complete:
        words += f" {report.done:,} of {plural(report.wanted, 'training')} have ended; the same command goes on."
    if report.failed:
        words += f" {plural(report.failed, 'training')} failed for good."
    return words


def _ranking(report: FidelityReport, inherited: Comparison) -> str:
    words = (
        f"By {report.metric}, shared weights rank them like training alone with Kendall's tau-b "
        f"{interval(inherited.kendall)} and Spearman's rho {interval(inherited.spearman)}."
    )
    by_cost = report.comparisons.get(COST)
    if by_cost is not None and math.isfinite(by_cost.kendall.value):
        words += f" Ranking by {report.cost} alone, the most first, reaches tau-b {by_cost.kendall.value:.2f}."
    return words


def _ceiling(report: FidelityReport, inherited: Comparison) -> str:
    ceiling = report.ceiling
    if ceiling is None:
        return "No ceiling is known: it takes at least three architectures that were trained with two seeds or more."
    words = f"Two trainings with different seeds agree with tau-b {interval(ceiling.kendall)}"
    if ceiling.count < report.trained:
        words += f" (over {plural(ceiling.count, 'architecture')})"
    if inherited.share is None:
        return f"{words}, so there is no ceiling to reach a share of."
    return f"{words}: of this ceiling, shared weights reach {interval(inherited.share)}."


def _regret(report: FidelityReport, inherited: Comparison) -> str:
    sizes = [one.mean for one in report.architectures if one.mean is not None]
    decimals = decimals_for(sizes)
    words = (
        f"Trained alone, the architecture that shared weights rank best is {number(inherited.regret, decimals)} worse "
        f"in {report.metric} than the best one of the sample"
    )
    compared = []
    if report.ceiling is not None:
        compared.append(f"choosing by another training costs {number(report.ceiling.regret, decimals)}")
    if report.random_regret is not None:
        compared.append(f"choosing blindly {number(report.random_regret, decimals)}")
    return f"{words}; {', '.join(compared)}." if compared else f"{words}."


def _near_knee(report: FidelityReport) -> str:
    near = report.near_knee
    assert near is not None
    decimals = decimals_for([near.dearest])
    words = (
        f"Among the {near.count} with about as many {report.cost} as the knee ({number(near.cheapest, decimals)} to "
        f"{number(near.dearest, decimals)}), tau-b is {interval(near.inherited.kendall)}"
    )
    if near.ceiling is not None:
        words += f", between two seeds {interval(near.ceiling.kendall)}"
    sizes = [one.mean for one in report.architectures if one.mean is not None]
    return f"{words}; the best by shared weights is {number(near.inherited.regret, decimals_for(sizes))} worse there."
