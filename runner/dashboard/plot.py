"""What all pictures share: the document that holds a wide and a narrow drawing, two axes on paper, and the file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.dashboard.paper import STYLE, WIDE, Paper, clean, line, text
from runner.errors import NotFound, SpecError

if TYPE_CHECKING:
    from runner.dashboard.axis import Axis


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Where numbers lie on one sheet."""

    paper: Paper
    top: float
    x: Axis
    y: Axis

    @property
    def right(self) -> float:
        """The right end of the horizontal axis."""
        return self.paper.width - self.paper.right

    @property
    def foot(self) -> float:
        """The low end of the vertical axis."""
        return self.paper.height - self.paper.bottom

    def across(self, value: float) -> float:
        """Where a number of the horizontal axis lies."""
        return self.paper.left + self.x.position(value) * (self.right - self.paper.left)

    def up(self, value: float) -> float:
        """Where a number of the vertical axis lies."""
        return self.foot - self.y.position(value) * (self.foot - self.top)


def document(title: str, description: str) -> ET.Element:
    """An SVG without drawings yet, with its words for those who do not see it."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(WIDE.width),
            "height": str(WIDE.height),
            "viewBox": f"0 0 {WIDE.width} {WIDE.height}",
            "role": "img",
            "aria-labelledby": "title description",
        },
    )
    ET.SubElement(root, "title", {"id": "title"}).text = clean(title)
    ET.SubElement(root, "desc", {"id": "description"}).text = clean(description)
    ET.SubElement(root, "style").text = STYLE
    return root


def add_sheet(root: ET.Element, paper: Paper) -> ET.Element:
    """One drawing of a document, empty but for its ground."""
    sheet = ET.SubElement(root, "svg", {"class": paper.name, "viewBox": f"0 0 {paper.width} {paper.height}"})
    ET.SubElement(sheet, "rect", {"class": "paper", "width": str(paper.width), "height": str(paper.height), "rx": "8"})
    return sheet


def draw_heading(sheet: ET.Element, paper: Paper, title: str, words: str) -> float:
    """A title and a line below it; the foot of that line."""
    size, left = paper.title_size, paper.margin
    foot = size * 1.75
    text(sheet, paper.shortened(title, paper.width - 2 * left, size), left, foot, size, kind="strong")
    foot += paper.type_size * 1.55
    shown = paper.shortened(words, paper.width - 2 * left, paper.type_size)
    text(sheet, shown, left, foot, paper.type_size, kind="soft")
    return foot


def draw_axes(sheet: ET.Element, plot: Plot, x_words: str, y_words: str) -> None:
    """Rules, ticks, and what the axes show."""
    paper = plot.paper
    size = paper.type_size
    for value, words in plot.x.ticks:
        x = plot.across(value)
        line(sheet, "rule", x, plot.top, x, plot.foot)
        text(sheet, words, x, plot.foot + 1.4 * size, size, kind="soft", anchor="middle")
    for value, words in plot.y.ticks:
        y = plot.up(value)
        line(sheet, "rule", paper.left, y, plot.right, y)
        text(sheet, words, paper.left - 0.6 * size, y + 0.35 * size, size, kind="soft", anchor="end")
    text(sheet, "↑ " + y_words, paper.margin, plot.top - 0.9 * size, size)
    text(sheet, x_words + " →", plot.right, plot.foot + 2.85 * size, size, anchor="end")


def radius_of(paper: Paper, value: float, low: float, high: float) -> float:
    """The radius of a mark whose area grows with a number between two others."""
    if high <= low:
        return paper.radius
    small, large = paper.radii
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return float((small**2 + share * (large**2 - small**2)) ** 0.5)


def write_svg(path: Path, content: str) -> None:
    """Write a picture into a file, all or nothing.

    Raises `NotFound` where the folder does not exist, `SpecError` where the file cannot be written.
    """
    target = path.expanduser()
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}; make it first, or give another path.")
    if target.is_dir():
        raise SpecError(f"{target} is a folder; give a file in it, such as {target / 'front.svg'}.")
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.write_text(content, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SpecError(f"{target} cannot be written: {error.strerror or error}; give another path.") from error
