"""Letters and marks against what they stand on: WCAG 2.2 asks for 4.5 (1.4.3) and 3 (1.4.11)."""

import re
from itertools import product

import pytest

from runner.dashboard.pages import STATIC
from runner.dashboard.paper import STYLE

PAGE = (STATIC / "style.css").read_text(encoding="utf-8")


def colours(sheet: str) -> dict[str, dict[str, str]]:
    """The variables of a style sheet: both in one place on pages, where a dark scheme changes them in pictures."""
    both = re.findall(r"--(\w+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", sheet)
    if both:
        return {"light": {name: light for name, light, _ in both}, "dark": {name: dark for name, _, dark in both}}
    bright, _, rest = sheet.partition("prefers-color-scheme: dark")
    light = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", bright))
    return {"light": light, "dark": {**light, **dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rest))}}


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_on_pages_can_be_read(scheme: str) -> None:
    found = colours(PAGE)[scheme]
    for words, ground in product(("ink", "soft", "link", "knee", "good", "bad"), ("paper", "ground", "tint", "raised")):
        assert contrast(found[words], found[ground]) >= 4.5, (words, ground)
    for ground in ("paper", "ground"):
        assert contrast(found["edge"], found[ground]) >= 3, ground


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_in_pictures_can_be_seen(scheme: str) -> None:
    found = colours(STYLE)[scheme]
    for words in ("ink", "soft", "knee", "front", "later"):
        assert contrast(found[words], found["paper"]) >= 4.5, words


def test_the_two_schemes_differ() -> None:
    for sheet in (PAGE, STYLE):
        both = colours(sheet)
        assert all(both["light"][name] != both["dark"][name] for name in both["light"])
