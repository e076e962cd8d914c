"""The picture of a comparison: scores with shared weights to the right, scores of training alone upwards.

The better shared weights rank, the nearer the marks lie to a line that only rises; a bar says how much of the rest is
the seed.  It owns places on paper; the numbers are the report's.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.dashboard.axis import make_axis
from runner.dashboard.legend import Entry, draw_legend, size_words
from runner.dashboard.paper import NARROW, WIDE, Paper, line, symbol, text, trace
from runner.dashboard.plot import Plot, add_sheet, document, draw_axes, draw_heading, radius_of
from runner.dashboard.words import direction, label, number, plural
from runner.fidelity.report import INHERITED
from runner.fidelity.words import sentences

if TYPE_CHECKING:
    from runner.fidelity.report import Compared, FidelityReport

_RING_GAP = 3.5  # between a mark and the ring around it
_STEPS = 24  # of the line of equal scores, which bends where an axis is logarithmic


def fidelity_svg(title: str, report: FidelityReport) -> str:
    """Draw a report: one self-contained SVG with a wide and a narrow drawing."""
    root = document(f"Shared weights and training alone: {title}", " ".join(sentences(report)))
    for paper in (WIDE, NARROW):
        _draw(add_sheet(root, paper), paper, title, report)
    return ET.tostring(root, encoding="unicode") + "\n"


@dataclass(frozen=True)
class _Mark:
    """One architecture with both scores."""

    shared: float
    alone: float
    seeds: tuple[float, ...]
    cost: float
    words: str


def _draw(sheet: ET.Element, paper: Paper, title: str, report: FidelityReport) -> None:
    foot = draw_heading(sheet, paper, title, _subtitle(report, brief=paper is NARROW))
    marks = [mark for one in report.architectures if (mark := _mark(one, report)) is not None]
    if not marks:
        words = "No architecture has both scores yet"
        text(sheet, words, paper.width / 2, paper.height / 2, paper.type_size, kind="soft", anchor="middle")
        return
    foot = draw_legend(sheet, _entries(marks, report, brief=paper is NARROW), paper, foot + 2.0 * paper.type_size)
    across, up = paper.ticks
    plot = Plot(
        paper=paper,
        top=foot + 3.0 * paper.type_size,
        x=make_axis([mark.shared for mark in marks], ticks=across),
        y=make_axis([score for mark in marks for score in mark.seeds], ticks=up),
    )
    better = direction(report.metric, report.goal)
    draw_axes(sheet, plot, f"{label(report.metric)} with shared weights, {better}", "trained alone")
    _draw_equal(sheet, plot)
    for mark in marks:
        x = plot.across(mark.shared)
        line(sheet, "bar", x, plot.up(min(mark.seeds)), x, plot.up(max(mark.seeds)))
    costs = [mark.cost for mark in marks]
    for mark in sorted(marks, key=lambda mark: -mark.cost):  # the large ones below
        radius = radius_of(paper, mark.cost, min(costs), max(costs))
        symbol(sheet, "shared", "front", plot.across(mark.shared), plot.up(mark.alone), radius, words=mark.words)
    chosen = {one.digest for one in report.chosen()}
    ringed = [mark for one in report.architectures if one.digest in chosen and (mark := _mark(one, report)) is not None]
    for mark in ringed:
        radius = radius_of(paper, mark.cost, min(costs), max(costs)) + _RING_GAP
        symbol(sheet, "shared", "ring", plot.across(mark.shared), plot.up(mark.alone), radius)


def _subtitle(report: FidelityReport, *, brief: bool) -> str:
    inherited = report.comparisons.get(INHERITED)
    words = plural(report.trained, "architecture")
    if inherited is None:
        return f"{words} trained alone"
    words += f", tau-b {inherited.kendall.value:.2f}"
    if report.ceiling is None:
        return words
    between = "ceiling" if brief else "between two seeds"
    return f"{words}, {between} {report.ceiling.kendall.value:.2f}"


def _entries(marks: list[_Mark], report: FidelityReport, *, brief: bool) -> list[Entry]:
    found = [Entry("sizes", "", size_words(report.cost, [mark.cost for mark in marks]))]
    if any(len(mark.seeds) > 1 for mark in marks):
        found.append(Entry("bar", "", "seeds" if brief else "from seed to seed, the mark at their mean"))
    found.append(Entry("equal", "", "equal" if brief else "the same score"))
    if report.chosen():
        found.append(Entry("ring", "shared", "best shared" if brief else "best by shared weights"))
    return found


def _mark(one: Compared, report: FidelityReport) -> _Mark | None:
    if one.inherited is None or one.mean is None:
        return None
    alone = ", ".join(number(score) for score in one.trained)
    words = (
        f"{one.digest}: {report.metric} {number(one.inherited)} with shared weights, {alone} alone, "
        f"{report.cost} {number(one.cost)}"
    )
    return _Mark(one.inherited, one.mean, one.trained, one.cost, words)


def _draw_equal(sheet: ET.Element, plot: Plot) -> None:
    """Where both scores are the same, as far as both axes show it."""
    low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
    if low < high:
        steps = [low + (high - low) * step / _STEPS for step in range(_STEPS + 1)]
        trace(sheet, "equal", [(plot.across(value), plot.up(value)) for value in steps])
