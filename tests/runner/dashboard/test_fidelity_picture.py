"""The picture of a comparison."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from runner.dashboard.fidelity_picture import fidelity_svg
from tests.runner.fidelity.reports import report, scores

if TYPE_CHECKING:
    from runner.fidelity.report import FidelityReport

SVG = "{http://www.w3.org/2000/svg}"


def drawn(made: FidelityReport, title: str = "digits") -> tuple[ET.Element, ET.Element]:
    """The document and its wide drawing."""
    root = ET.fromstring(fidelity_svg(title, made))
    wide, narrow = root.findall(f"{SVG}svg")
    assert (wide.get("class"), narrow.get("class")) == ("wide", "narrow")
    return root, wide


def marks(sheet: ET.Element, kind: str) -> list[ET.Element]:
    return [element for element in sheet.iter() if element.get("class") == kind]


def test_each_architecture_is_a_mark_with_a_bar_and_words() -> None:
    root, wide = drawn(report())
    told = [mark for mark in marks(wide, "front") if mark.find(f"{SVG}title") is not None]
    assert len(told) == 40
    assert len(marks(wide, "bar")) == 40 + 1  # one explains itself
    assert "with shared weights" in str(told[0].findtext(f"{SVG}title"))
    assert "shared weights reach" in str(root.findtext(f"{SVG}desc"))


def test_better_scores_lie_to_the_left_and_below() -> None:
    _, wide = drawn(report())
    places = {
        str(mark.findtext(f"{SVG}title"))[:12]: (float(mark.get("cx", 0)), float(mark.get("cy", 0)))
        for mark in marks(wide, "front")
        if mark.find(f"{SVG}title") is not None
    }
    found = [one for one in scores() if one.inherited is not None and one.mean is not None]
    by_shared = sorted(found, key=lambda one: (one.inherited or 0, one.digest))
    across = [places[one.digest][0] for one in by_shared]
    assert across == sorted(across)
    up = [places[one.digest][1] for one in sorted(found, key=lambda one: (one.mean or 0, one.digest))]
    assert up == sorted(up, reverse=True)


def test_the_best_by_shared_weights_has_a_ring() -> None:
    made = report()
    _, wide = drawn(made)
    assert len(marks(wide, "ring")) == len(made.chosen()) + 1


def test_without_both_scores_it_says_so() -> None:
    unscored = [dataclasses.replace(one, alone=(None, None)) for one in scores()]
    _, wide = drawn(report(unscored))
    assert any("No architecture has both scores yet" in (text.text or "") for text in wide.iter(f"{SVG}text"))


def test_one_seed_has_no_bars_to_explain_and_a_hostile_title_is_text() -> None:
    single = [dataclasses.replace(one, alone=one.alone[:1]) for one in scores()]
    _, wide = drawn(report(single), "<script>&\x00")
    words = [text.text or "" for text in wide.iter(f"{SVG}text")]
    assert "<script>&" in words
    assert not any("seed to seed" in text for text in words)
