"""What the marks of a picture mean, as far as they occur in it.  It owns these words and where they stand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from runner.dashboard.paper import LETTER, Paper, line, symbol, text
from runner.dashboard.scene import ORDER, Scene
from runner.dashboard.words import decimals_for, label, number, scaled_unit

_GAP = 1.6  # between two entries, in sizes of the type
_SYMBOL = 1.5  # width of a symbol
_ROW = 1.55  # height of a row
_STROKES = ("line", "bar", "equal")


@dataclass(frozen=True)
class Entry:
    """One kind of mark."""

    symbol: str  # a stroke, "sizes", or the classes of a mark
    shape: str
    words: str


def entries(scene: Scene, *, brief: bool) -> list[Entry]:
    """Everything that this picture has to explain; `brief` where there is little room."""
    found = []
    if any(not mark.predicted for mark in scene.front):
        found.append(Entry("front", "shared", "on the front"))
    if any(mark.predicted for mark in scene.front):
        found.append(Entry("front predicted", "shared", "predicted" if brief else "on the front, but predicted"))
    elif any(mark.predicted for mark in scene.faded):
        found.append(Entry("faded predicted", "shared", "predicted" if brief else "not on the front, predicted"))
    if any(not mark.predicted for mark in scene.faded):
        found.append(Entry("faded", "shared", "others" if brief else "not on the front"))
    shapes = {mark.shape for _, mark in scene.later}
    if "retrained" in shapes:
        found.append(Entry("later", "retrained", "retrained" if brief else "retrained alone"))
    if "exported" in shapes:
        found.append(Entry("later", "exported", "exported" if brief else "the exported file"))
    if any(mark.x_interval or mark.y_interval for mark in scene.front):
        found.append(Entry("bar", "", "90 %" if brief else "90 % interval"))
    if scene.x == ORDER or any((mark.x, mark.y) not in scene.line for mark in scene.front):
        found.append(Entry("line", "", _line_words(scene, brief=brief)))
    if words := _sizes(scene):
        found.append(Entry("sizes", "", words))
    if hidden := scene.faded_total - len(scene.faded):
        found.append(
            Entry("", "", f"{hidden:,} more not drawn" if brief else f"{hidden:,} more not on the front, not drawn")
        )
    if scene.undrawn:
        found.append(Entry("", "", f"no place for {', '.join(scene.undrawn)}"))
    return found


def _line_words(scene: Scene, *, brief: bool) -> str:
    if scene.x == ORDER:
        return "best so far"
    return "best of these two" if brief else "best trade-off of these two"


def _sizes(scene: Scene) -> str:
    """What the size of a mark says."""
    sizes = [mark.size for mark in scene.front if mark.size is not None]
    if scene.size is None or not sizes:
        return ""
    return size_words(scene.size, sizes)


def size_words(metric: str, sizes: list[float]) -> str:
    """From what to what the numbers behind the sizes of marks reach."""
    factor, unit = scaled_unit(metric, max(abs(size) for size in sizes))
    low, high = min(sizes) / factor, max(sizes) / factor
    places = max(decimals_for([high]) - 1, 0)
    low_words, high_words = number(low, places), number(high, places)
    reach = low_words if low_words == high_words else f"{low_words} to {high_words}"
    return f"{label(metric, '')} {reach} {unit}".rstrip()


def draw_legend(parent: ET.Element, found: list[Entry], paper: Paper, top: float) -> float:
    """Put the entries into as many rows as they need; returns the foot of the last one."""
    size = paper.type_size
    edge = paper.width - paper.right
    x, y = paper.margin, top
    for entry in found:
        mark = _symbol_width(entry) * size
        width = mark + len(entry.words) * LETTER * size
        if x > paper.margin and x + width > edge:
            x, y = paper.margin, y + _ROW * size
        _draw_symbol(parent, entry, paper, x, y - 0.35 * size)
        words = paper.shortened(entry.words, edge - x - mark, size)
        text(parent, words, x + mark, y, size, kind="soft")
        x += width + _GAP * size
    return y


def _symbol_width(entry: Entry) -> float:
    if not entry.symbol:
        return 0.0
    return _SYMBOL * (1.8 if entry.symbol == "sizes" else 1.25 if entry.symbol in _STROKES else 1.0)


def _draw_symbol(parent: ET.Element, entry: Entry, paper: Paper, x: float, y: float) -> None:
    size = paper.type_size
    if entry.symbol in _STROKES:
        line(parent, entry.symbol, x, y, x + 1.3 * size, y)
    elif entry.symbol == "sizes":
        small, large = paper.radii
        large = min(large, 0.62 * size)
        symbol(parent, "shared", "front", x + small, y, min(small, 0.32 * size))
        symbol(parent, "shared", "front", x + 1.55 * size, y, large)
    elif entry.symbol:
        radius = paper.faded_radius if entry.symbol.startswith("faded") else min(paper.radius, 0.45 * size)
        symbol(parent, entry.shape, entry.symbol, x + 0.5 * size, y, radius)
