"""What drawings are made of: two sizes of paper, one style sheet, and elements of SVG.

Owns colours and letters.  The style sheet is a constant, so that a Content-Security-Policy can name its digest.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

LETTER = 0.54  # width of a letter in a sans-serif type, as a share of its size, on average

# Every colour of marks and letters has a contrast of 4.5 or more to the background of its scheme; nothing is told
# by colour alone.  Narrow paper is shown where a picture is as wide as a phone.
STYLE = """
:root { --paper: #ffffff; --ink: #1c2430; --soft: #566173; --rule: #e3e7ec; --front: #0b5cad; --area: #0b5cad;
  --faded: #6d7888; --knee: #a83a00; --later: #0b6b4c; }
@media (prefers-color-scheme: dark) { :root { --paper: #12171f; --ink: #e8ecf2; --soft: #a3adbb; --rule: #29313c;
  --front: #6cb2ff; --area: #6cb2ff; --faded: #8793a3; --knee: #ffa066; --later: #5fd0a5; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  fill: var(--ink); font-variant-numeric: tabular-nums; }
.soft { fill: var(--soft); }
.strong { font-weight: 650; }
.paper { fill: var(--paper); }
.rule { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke: var(--front); stroke-width: 1.5; stroke-linejoin: round; }
.area { fill: var(--area); fill-opacity: 0.06; }
.front { fill: var(--front); stroke: var(--paper); stroke-width: 1.25; }
.front.predicted { fill: var(--paper); stroke: var(--front); stroke-width: 2; }
.faded { fill: var(--faded); fill-opacity: 0.42; }
.faded.predicted { fill: none; stroke: var(--faded); stroke-opacity: 0.55; stroke-width: 1; }
.later { fill: var(--later); stroke: var(--paper); stroke-width: 1.25; }
.later.predicted { fill: var(--paper); stroke: var(--later); stroke-width: 2; }
.bar { stroke: var(--front); stroke-width: 1.25; stroke-opacity: 0.7; }
.bar.of-later { stroke: var(--later); }
.link { fill: none; stroke: var(--later); stroke-width: 1.25; stroke-dasharray: 3 3; }
.equal { fill: none; stroke: var(--faded); stroke-width: 1.25; stroke-dasharray: 5 4; }
.ring { fill: none; stroke: var(--knee); stroke-width: 2; }
.knee { fill: var(--knee); font-weight: 650; }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4; stroke-linejoin: round; }
.narrow { display: none; }
@media (max-width: 560px) { .wide { display: none; } .narrow { display: inline; } }
"""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One size of drawing; lengths in its own units."""

    name: str
    width: int
    height: int
    type_size: float
    title_size: float
    margin: float  # left of words
    left: float
    right: float
    bottom: float
    ticks: tuple[int, int]  # about so many to the right and upwards
    radius: float  # of a mark where nothing gives it another size
    radii: tuple[float, float]  # of the smallest and the largest mark of a third objective
    faded_radius: float

    def shortened(self, words: str, width: float, size: float) -> str:
        """As much of these words as fits."""
        most = max(int(width / (LETTER * size)), 4)
        return words if len(words) <= most else words[: most - 1] + "…"


# Both have one shape, so that either fits into the place of the other.
WIDE = Paper(
    name="wide",
    width=880,
    height=748,
    type_size=14,
    title_size=21,
    margin=26,
    left=76,
    right=30,
    bottom=66,
    ticks=(8, 7),
    radius=6.5,
    radii=(4.5, 12),
    faded_radius=3,
)
NARROW = Paper(
    name="narrow",
    width=360,
    height=306,
    type_size=10.5,
    title_size=13.5,
    margin=12,
    left=44,
    right=12,
    bottom=36,
    ticks=(5, 4),
    radius=4,
    radii=(3, 6.5),
    faded_radius=1.8,
)


def clean(words: str) -> str:
    """Words without what no XML document may hold."""
    return "".join(
        c for c in words if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
    )


def line(parent: ET.Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    """A straight line."""
    places = {"x1": _length(x1), "y1": _length(y1), "x2": _length(x2), "y2": _length(y2)}
    ET.SubElement(parent, "line", {"class": kind, **places})


def trace(parent: ET.Element, kind: str, corners: list[tuple[float, float]], *, closed: bool = False) -> None:
    """A line through corners, or the area within them."""
    steps = " L".join(f"{_length(x)} {_length(y)}" for x, y in corners)
    ET.SubElement(parent, "path", {"class": kind, "d": f"M{steps}{'Z' if closed else ''}"})


def text(
    parent: ET.Element, words: str, x: float, y: float, size: float, *, kind: str = "", anchor: str = "start"
) -> None:
    """One line of letters, `y` at their foot."""
    attributes = {"x": _length(x), "y": _length(y), "font-size": _length(size)}
    if kind:
        attributes["class"] = kind
    if anchor != "start":
        attributes["text-anchor"] = anchor
    ET.SubElement(parent, "text", attributes).text = clean(words)


def symbol(parent: ET.Element, shape: str, kind: str, x: float, y: float, radius: float, *, words: str = "") -> None:
    """A mark: a circle, for a retrained model a square, for an exported one a diamond."""
    if shape == "retrained":
        side = radius * 0.9
        element = ET.SubElement(
            parent,
            "rect",
            {
                "class": kind,
                "x": _length(x - side),
                "y": _length(y - side),
                "width": _length(2 * side),
                "height": _length(2 * side),
            },
        )
    elif shape == "exported":
        reach = radius * 1.25
        corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
        steps = " L".join(f"{_length(a)} {_length(b)}" for a, b in corners)
        element = ET.SubElement(parent, "path", {"class": kind, "d": f"M{steps}Z"})
    else:
        element = ET.SubElement(
            parent, "circle", {"class": kind, "cx": _length(x), "cy": _length(y), "r": _length(radius)}
        )
    if words:
        ET.SubElement(element, "title").text = clean(words)


def _length(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
