import os
import re
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.dashboard.picture import front_svg, write_picture
from runner.errors import NotFound, SpecError
from runner.front import Front
from tests.runner.dashboard.fronts import a_front, a_value

MIN = "minimize"
SVG = "{http://www.w3.org/2000/svg}"
THREE = {"error": MIN, "latency_ms": MIN, "model_bytes": MIN}
POINTS = [
    {"error": 0.1, "latency_ms": a_value("latency_ms", 2.0, "predicted", spread=0.3), "model_bytes": 90_000.0},
    {"error": 0.2, "latency_ms": 1.0, "model_bytes": 30_000.0},
    {"error": 0.15, "latency_ms": 1.4, "model_bytes": 60_000.0},
    {"error": 0.4, "latency_ms": 2.5, "model_bytes": 95_000.0},
]


def drawn(picture: str, name: str = "wide") -> ET.Element:
    """One of the two drawings in a picture."""
    root = ET.fromstring(picture)
    (found,) = [each for each in root.findall(f"{SVG}svg") if each.get("class") == name]
    return found


def marks(drawing: ET.Element, kind: str) -> list[ET.Element]:
    """Marks of this class that stand for an architecture; those of the legend have no title."""
    return [each for each in drawing.iter() if each.get("class") == kind and each.find(f"{SVG}title") is not None]


def letters(drawing: ET.Element) -> str:
    return " | ".join(each.text or "" for each in drawing.iter(f"{SVG}text"))


@pytest.mark.parametrize("goals", [{"error": MIN}, {"error": MIN, "latency_ms": MIN}, THREE, {**THREE, "macs": MIN}])
def test_one_to_four_objectives_have_a_picture(goals: dict[str, str]) -> None:
    front = a_front(goals, [{**point, "macs": 1e6} for point in POINTS])
    for name in ("wide", "narrow"):
        drawing = drawn(front_svg("digits", front), name)
        shown = len(marks(drawing, "front")) + len(marks(drawing, "front predicted"))
        assert shown == len(front.points)
        assert "error (fraction), lower is better" in letters(drawing)


def test_a_prediction_is_hollow_and_the_size_tells_the_third_objective() -> None:
    drawing = drawn(front_svg("digits", a_front(THREE, POINTS)))
    (hollow,) = marks(drawing, "front predicted")
    filled = marks(drawing, "front")
    assert float(hollow.get("r", 0)) == 12
    assert sorted(float(mark.get("r", 0)) for mark in filled)[0] == 4.5
    assert "on the front, but predicted" in letters(drawing)
    assert "model_bytes 30 to 90 kB" in letters(drawing)
    assert "90 % interval" in letters(drawing)
    assert "(predicted)" in (hollow.findtext(f"{SVG}title") or "")


def test_the_knee_has_a_ring_and_its_name() -> None:
    drawing = drawn(front_svg("digits", a_front(THREE, POINTS)))
    assert len([each for each in drawing.iter() if each.get("class") == "ring"]) == 1
    assert re.search(r"knee: 0\.1\d* at 1\.4\d* ms", letters(drawing))


def test_an_exported_model_is_a_diamond_tied_to_its_point() -> None:
    later = {1: {"exported": {"error": 0.12, "latency_ms": 0.9}}}
    drawing = drawn(front_svg("digits", a_front(THREE, POINTS, later=later)))
    (diamond,) = marks(drawing, "later")
    assert diamond.tag == f"{SVG}path"
    assert len([each for each in drawing.iter() if each.get("class") == "link"]) == 1
    assert "the exported file" in letters(drawing)


def test_a_range_of_more_than_a_decade_is_drawn_on_a_logarithmic_scale() -> None:
    wide = [{"error": 0.1, "latency_ms": 0.1}, {"error": 0.05, "latency_ms": 5.0}]
    assert "latency_ms, lower is better, log scale" in letters(
        drawn(front_svg("digits", a_front({"error": MIN, "latency_ms": MIN}, wide)))
    )
    assert "log scale" not in letters(drawn(front_svg("digits", a_front(THREE, POINTS))))


@pytest.mark.parametrize(
    ("front", "words"),
    [
        (a_front(THREE, []), "No architecture has been evaluated yet"),
        (a_front(THREE, POINTS, bounds={"error": (None, 0.01)}), "0 on the front of 4 evaluated: none of them keeps"),
        (a_front(THREE, POINTS[:1]), "1 on the front of 1 evaluated"),
        (a_front(THREE, [POINTS[1]] * 3), "3 on the front of 3 evaluated"),
        (a_front(THREE, [dict.fromkeys(THREE, 0.0)]), "1 on the front of 1 evaluated"),
    ],
)
def test_fronts_with_little_in_them_are_drawn(front: Front, words: str) -> None:
    for name in ("wide", "narrow"):
        assert words[:30] in letters(drawn(front_svg("digits", front), name))


def test_points_that_are_not_drawn_are_counted() -> None:
    points = [*POINTS[1:3], *[{**POINTS[3], "error": 0.21}] * 50, {**POINTS[3], "error": 0.99}]
    assert "1 more not on the front, not drawn" in letters(drawn(front_svg("digits", a_front(THREE, points))))


finite = st.floats(-1e12, 1e12, allow_nan=False)
words = st.text(max_size=40)


@given(words, words.filter(bool), st.lists(st.tuples(finite, finite, finite), max_size=6))
def test_whatever_is_recorded_gives_a_valid_picture_within_its_frame(
    title: str, metric: str, values: list[tuple[float, float, float]]
) -> None:
    goals = {"error": MIN, metric: "maximize", "model_bytes": MIN}
    front = a_front(goals, [dict(zip(goals, point, strict=False)) for point in values])
    root = ET.fromstring(front_svg(title, front))
    allowed = {"svg", "title", "desc", "style", "rect", "circle", "path", "line", "text"}
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= allowed
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx", -1)) <= 880
        assert 0 <= float(circle.get("cy", -1)) <= 748


def test_names_are_letters_and_never_markup() -> None:
    hostile = "</text><script>alert(1)</script>&\x00\x1b"
    picture = front_svg(hostile, a_front({hostile: MIN, "latency_ms": MIN}, [{hostile: 0.1, "latency_ms": 1.0}]))
    assert "<script" not in picture
    assert "</text><script>alert(1)</script>&" in letters(drawn(picture))


def test_the_picture_speaks_to_those_who_do_not_see_it() -> None:
    root = ET.fromstring(front_svg("digits", a_front(THREE, POINTS)))
    assert root.get("role") == "img"
    ids = {each.get("id"): each.text or "" for each in root if each.get("id")}
    assert root.get("aria-labelledby", "").split() == list(ids)
    assert ids["title"] == "Front of digits"
    assert "3 architectures on the front of 4 evaluated" in ids["description"]


def test_the_picture_needs_nothing_but_itself() -> None:
    picture = front_svg("digits", a_front(THREE, POINTS))
    assert not re.search(r"""href|@import|url\(|style=|https?://(?!www\.w3\.org/2000/svg)""", picture)


def test_a_picture_is_written_for_everyone_to_read(tmp_path: Path) -> None:
    path = tmp_path / "front.svg"
    path.write_text("an older one")
    write_picture(path, "digits", a_front(THREE, POINTS))
    assert path.read_text(encoding="utf-8") == front_svg("digits", a_front(THREE, POINTS))
    assert [each.name for each in tmp_path.iterdir()] == ["front.svg"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front = a_front(THREE, POINTS)
    with pytest.raises(NotFound, match=r"no folder .*missing"):
        write_picture(tmp_path / "missing" / "front.svg", "digits", front)
    with pytest.raises(SpecError, match="is a folder"):
        write_picture(tmp_path, "digits", front)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "front.svg").write_text("the older one")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SpecError, match="No space left"):
        write_picture(tmp_path / "front.svg", "digits", front)
    assert (tmp_path / "front.svg").read_text() == "the older one"
