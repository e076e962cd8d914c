"""The picture of a front: one self-contained SVG for the page, the command line and the README.

Owns places on paper.  What is shown is `scene`'s choice, where numbers lie is `axis`'s, colours are `paper`'s.
The file holds two drawings, one for wide places and one for narrow ones, and shows the one that fits: a wide one
scaled down to a phone would have letters that nobody can read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from runner.dashboard.axis import Axis, make_axis
from runner.dashboard.legend import draw_legend, entries
from runner.dashboard.paper import LETTER, NARROW, WIDE, Paper, line, symbol, text, trace
from runner.dashboard.plot import Plot, add_sheet, document, draw_axes, draw_heading, radius_of, write_svg
from runner.dashboard.scene import ORDER, Mark, Scene, describe, make_scene
from runner.dashboard.words import decimals_for, direction, label, number, scaled_unit

if TYPE_CHECKING:
    from runner.front import Front

_RING_GAP = 3.5  # between a mark and the ring around the knee
_LABEL_GAP = 1.0  # between the ring and the label, in sizes of the type
_NEAR = 0.6  # a mark this close to a label is covered by it, in sizes of the type


def front_svg(title: str, front: Front, *, x: str | None = None, y: str | None = None) -> str:
    """Draw a front: `x` to the right, `y` upwards, a third objective as the size of the marks.

    The defaults are latency, or else another cost, against what the task scores.  Raises `SpecError` for a metric
    that the front does not have.
    """
    scene = make_scene(front, x, y)
    root = document(f"Front of {title}", describe(front))
    for paper in (WIDE, NARROW):
        _draw(add_sheet(root, paper), paper, scene, title, len(front.points), len(front.points) + len(front.others))
    return ET.tostring(root, encoding="unicode") + "\n"


def write_picture(path: Path, title: str, front: Front) -> None:
    """Draw a front into a file, all or nothing.

    Raises `NotFound` where the folder does not exist, `SpecError` where the file cannot be written.
    """
    write_svg(path, front_svg(title, front))


def _draw(sheet: ET.Element, paper: Paper, scene: Scene, title: str, on_front: int, evaluated: int) -> None:
    foot = _heading(sheet, paper, title, on_front, evaluated)
    if not scene.drawn:
        words = "No architecture has been evaluated yet"
        text(sheet, words, paper.width / 2, paper.height / 2, paper.type_size, kind="soft", anchor="middle")
        return
    found = entries(scene, brief=paper is NARROW)
    foot = draw_legend(sheet, found, paper, foot + 2.0 * paper.type_size)
    plot = _plot(paper, scene, foot + 3.0 * paper.type_size)
    draw_axes(sheet, plot, _axis_words(scene, scene.x, plot.x), _axis_words(scene, scene.y, plot.y))
    _draw_line(sheet, plot, scene)
    for mark in scene.faded:
        kind = "faded predicted" if mark.predicted else "faded"
        symbol(sheet, mark.shape, kind, *plot.place(mark), paper.faded_radius)
    _draw_front(sheet, plot, scene)
    _draw_later(sheet, plot, scene)
    if scene.knee is not None:
        _draw_knee(sheet, plot, scene, scene.knee)


def _heading(sheet: ET.Element, paper: Paper, title: str, on_front: int, evaluated: int) -> float:
    words = f"{on_front:,} on the front of {evaluated:,} evaluated"
    if evaluated and not on_front:
        words += ": none of them keeps the bounds"
    return draw_heading(sheet, paper, title, words)


@dataclass(frozen=True, kw_only=True)
class _Plot(Plot):
    """With the marks of a scene."""

    radius: Callable[[Mark], float]

    def place(self, mark: Mark) -> tuple[float, float]:
        return self.across(mark.x), self.up(mark.y)


def _plot(paper: Paper, scene: Scene, top: float) -> _Plot:
    """Axes that show every mark, and the intervals of those that matter."""
    matter = (*scene.front, *(mark for _, mark in scene.later))
    xs = [mark.x for mark in scene.drawn] + [end for mark in matter for end in mark.x_interval or ()]
    ys = [mark.y for mark in scene.drawn] + [end for mark in matter for end in mark.y_interval or ()]
    across, up = paper.ticks
    return _Plot(
        paper=paper,
        top=top,
        x=make_axis(xs, ticks=across, factor=_unit(scene.x, xs)[0], whole=scene.x == ORDER),
        y=make_axis(ys, ticks=up, factor=_unit(scene.y, ys)[0]),
        radius=_radius(paper, scene),
    )


def _unit(metric: str, values: list[float]) -> tuple[float, str]:
    return scaled_unit(metric, max(abs(value) for value in values))


def _radius(paper: Paper, scene: Scene) -> Callable[[Mark], float]:
    """The size of a mark: its area grows with the third objective."""
    sizes = [mark.size for mark in scene.front if mark.size is not None]
    low, high = (min(sizes), max(sizes)) if sizes else (0.0, 0.0)

    def radius(mark: Mark) -> float:
        return paper.radius if mark.size is None else radius_of(paper, mark.size, low, high)

    return radius


def _axis_words(scene: Scene, metric: str, axis: Axis) -> str:
    if metric == ORDER:
        return "evaluations, in the order of the record"
    _, unit = scaled_unit(metric, max(abs(axis.low), abs(axis.high)))
    scale = ", log scale" if axis.logarithmic else ""
    return f"{label(metric, unit)}, {direction(metric, scene.goals.get(metric))}{scale}"


def _draw_line(sheet: ET.Element, plot: _Plot, scene: Scene) -> None:
    """The best trade-off as steps, with what it dominates shaded."""
    if not scene.line:
        return
    worst_x = plot.right if scene.worst(scene.x) == "high" else plot.paper.left
    worst_y = plot.top if scene.worst(scene.y) == "high" else plot.foot
    steps = [(plot.across(x), plot.up(y)) for x, y in scene.line]
    steps = [(steps[0][0], worst_y), *steps, (worst_x, steps[-1][1])]
    trace(sheet, "area", [*steps, (worst_x, worst_y)], closed=True)
    trace(sheet, "line", steps)


def _draw_front(sheet: ET.Element, plot: _Plot, scene: Scene) -> None:
    """Bars first, then marks, the large ones below the small ones."""
    for mark in scene.front:
        _draw_bars(sheet, plot, mark, "bar")
    for mark in sorted(scene.front, key=plot.radius, reverse=True):
        kind = "front predicted" if mark.predicted else "front"
        symbol(sheet, mark.shape, kind, *plot.place(mark), plot.radius(mark), words=mark.words)


def _draw_later(sheet: ET.Element, plot: _Plot, scene: Scene) -> None:
    """What retrained and exported models reached, tied to the point that they came from."""
    for origin, mark in scene.later:
        trace(sheet, "link", [plot.place(origin), plot.place(mark)])
        _draw_bars(sheet, plot, mark, "bar of-later")
        kind = "later predicted" if mark.predicted else "later"
        symbol(sheet, mark.shape, kind, *plot.place(mark), plot.paper.radius, words=mark.words)


def _draw_bars(sheet: ET.Element, plot: _Plot, mark: Mark, kind: str) -> None:
    x, y = plot.place(mark)
    if mark.x_interval is not None:
        low, high = mark.x_interval
        line(sheet, kind, plot.across(low), y, plot.across(high), y)
    if mark.y_interval is not None:
        low, high = mark.y_interval
        line(sheet, kind, x, plot.up(low), x, plot.up(high))


def _draw_knee(sheet: ET.Element, plot: _Plot, scene: Scene, knee: Mark) -> None:
    """A ring around the knee, and its name where it covers the least."""
    paper = plot.paper
    x, y = plot.place(knee)
    reach = plot.radius(knee) + _RING_GAP
    symbol(sheet, "shared", "ring", x, y, reach)
    words = "best" if scene.x == ORDER else "knee"
    if paper is WIDE:
        words += f": {_short(scene.y, knee.y)}" + ("" if scene.x == ORDER else f" at {_short(scene.x, knee.x)}")
    size = paper.type_size
    width = len(words) * LETTER * size
    gap = reach + _LABEL_GAP * size * 0.5
    places = [
        (x + across * gap - (width if across < 0 else 0), y + up * gap + (0.8 * size if up > 0 else 0.0))
        for up in (1, -1)
        for across in (-1, 1)
    ] + [(x + gap, y + 0.35 * size), (x - gap - width, y + 0.35 * size)]
    best = min(places, key=lambda place: _covered(plot, scene, place, width))
    left = min(max(best[0], paper.left + 2), plot.right - width)
    text(sheet, words, left, best[1], size, kind="knee halo")


def _covered(plot: _Plot, scene: Scene, place: tuple[float, float], width: float) -> float:
    """How much a label here would cover, marks of the front counted most, and how far it leaves the plot."""
    size = plot.paper.type_size
    near = _NEAR * size
    left, right = place[0] - near, place[0] + width + near
    top, foot = place[1] - size - near, place[1] + near
    covered = max(plot.paper.left - left, 0) + max(right - plot.right, 0)
    covered += max(foot - plot.foot, 0) + max(plot.top - top, 0)
    weights = [(mark, 1.0) for mark in scene.faded]
    weights += [(mark, 4.0) for mark in (*scene.front, *(mark for _, mark in scene.later))]
    for mark, weight in weights:
        x, y = plot.place(mark)
        if left <= x <= right and top <= y <= foot:
            covered += weight
    corners = [(plot.across(x), plot.up(y)) for x, y in scene.line]
    for (x1, y1), (x2, y2) in pairwise(corners):
        if max(x1, x2) >= left and min(x1, x2) <= right and max(y1, y2) >= top and min(y1, y2) <= foot:
            covered += 2.0
    return covered


def _short(metric: str, value: float) -> str:
    factor, unit = scaled_unit(metric, abs(value))
    shown = value / factor
    return f"{number(shown, max(decimals_for([shown]) - 1, 0))} {'' if unit == 'fraction' else unit}".rstrip()
