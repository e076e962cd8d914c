"""What the pages of architectures say: words made from documents of the API, asked for in a browser without a study."""

from __future__ import annotations

import ast
import shlex
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Watched

CALL = """
async ([module, name, args]) => {
  const found = await import(`/static/architecture/${module}.js`);
  return found[name](...args);
}
"""
ERROR = {"metric": "error", "label": "error", "unit": "fraction", "goal": "minimize", "objective": True}
LATENCY = {"metric": "latency_ms", "label": "latency", "unit": "ms", "goal": "minimize", "objective": True}
SPEED = {"metric": "speed", "label": "speed", "unit": "tokens/s", "goal": "maximize", "objective": False}
BARE = {"at_least": None, "at_most": None}
HOSTILE_NAME = 'it\'s \\ a "study"; rm -rf $HOME `id`\n\u2028 \u00e4'


@pytest.fixture
def look() -> tuple[str, int]:
    """Words are the same at every width."""
    return ("light", 1280)


@pytest.fixture
def page(watched: Watched) -> Page:
    watched.page.goto("/static/icon.svg")
    return watched.page


def call(page: Page, module: str, name: str, *args: Any) -> Any:
    return page.evaluate(CALL, [module, name, list(args)])


def value(number: float, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    return {"metric": "any", "value": number, "lower": lower, "upper": upper, "provenance": "inherited"}


def test_differences_of_numbers_in_words(page: Page) -> None:
    for metric, here, there, words in (
        (ERROR, value(0.05), value(0.047), "0.3 points better in error"),
        (ERROR, value(0.05), value(0.06), "1 point worse in error"),
        (LATENCY, value(1.0), value(1.04), "4 % slower in latency"),
        (LATENCY, value(1.0), value(0.5), "50 % faster in latency"),
        (SPEED, value(100.0), value(150.0), "50 % better in speed"),
        ({**SPEED, "goal": None}, value(100.0), value(50.0), "50 % less in speed"),
        (LATENCY, value(0.0), value(2.0), "2 ms more in latency"),
        (ERROR, value(0.05), value(0.05), "the same error"),
        (
            LATENCY,
            value(1.0, 0.9, 1.1),
            value(1.1, 1.05, 1.2),
            "no clear difference in latency (10 % slower, intervals overlap)",
        ),
        (LATENCY, value(1.0, 0.9, 1.0), value(1.1, 1.05, 1.2), "10 % slower in latency"),
    ):
        assert call(page, "words", "valueWords", metric, here, there) == words


def test_differences_of_answers_in_words(page: Page) -> None:
    changed = [
        {"choice": "layers.1.mixer", "here": "softmax", "there": "windowed"},
        {"choice": "layers.3.heads", "here": None, "there": 0},
        {"choice": "layers.4.gated", "here": False, "there": None},
    ]
    assert call(page, "words", "changeWords", changed) == [
        "layers.1.mixer: windowed instead of softmax",
        "layers.3.heads: 0, not there here",
        "layers.4.gated: not there (here false)",
    ]
    assert call(page, "words", "changeWords", changed[:1] * 9)[-1] == "and 3 more"


def test_where_an_architecture_stands(page: Page) -> None:
    metrics = [{**ERROR, **BARE}, {**LATENCY, **BARE, "at_most": 2.0}]

    def point(digest: str, error: float, latency: float) -> dict[str, Any]:
        values = [{**value(error), "metric": "error"}, {**value(latency), "metric": "latency_ms"}]
        return {"digest": digest, "values": values}

    def standing(error: float, latency: float | None, **changes: Any) -> dict[str, Any]:
        values = point("", error, latency or 0.0)["values"]
        found = {
            "digest": "me",
            "on_front": False,
            "knee": False,
            "numbers": [{"fidelity": "inherited", "values": values[: 1 if latency is None else 2]}],
        }
        front = {"goals": {"error": "minimize", "latency_ms": "minimize"}, "others": []}
        front["points"] = [point("fast", 0.3, 0.5), point("good", 0.1, 1.5)]
        return dict(call(page, "standing", "standingOf", {**found, **changes}, front, metrics))

    assert standing(0.2, 1.8) | {"words": ""} == {
        "state": "dominated",
        "badge": "dominated",
        "by": ["good"],
        "words": "",
    }
    assert standing(0.4, 1.9)["by"] == ["fast", "good"]
    outside = standing(0.01, 2.5)
    assert (outside["state"], outside["by"]) == ("outside", [])
    assert "latency is 2.500 ms, allowed at most 2 ms" in outside["words"]
    assert "no number for latency" in standing(0.01, None)["words"]
    assert standing(0.4, 1.9, on_front=True)["state"] == "front"
    assert standing(0.4, 1.9, on_front=True, knee=True)["state"] == "knee"


def test_labels_are_cut_by_the_room_that_signs_take(page: Page) -> None:
    assert call(page, "words", "short", "softmax", 7) == "softmax"
    assert call(page, "words", "short", "softmax_attention", 7) == "softma…"
    assert call(page, "words", "short", "注意力机制", 7) == "注意力…"
    assert call(page, "words", "short", "a\n\tb", 7) == "a b"
    assert call(page, "words", "lined", ["one 1", "two 2", "three 3"], 12) == ["one 1  two 2", "three 3"]


def test_commands_and_programs_hold_any_name(page: Page) -> None:
    command = call(page, "snippets", "exportCommand", HOSTILE_NAME, "abcd", ["onnx", "onnx-int8"])
    assert shlex.split(command) == [
        *("supernaut", "export", HOSTILE_NAME, "abcd", "--to", "model", "--format", "onnx", "--format", "onnx-int8")
    ]
    program = ast.parse(call(page, "snippets", "exportPython", HOSTILE_NAME, "abcd", ["onnx"]))
    texts = [node.value for node in ast.walk(program) if isinstance(node, ast.Constant)]
    assert texts == [HOSTILE_NAME, "abcd", "model", "onnx"]
    compile(call(page, "snippets", "runPython"), "copied", "exec")


def test_why_a_job_waits_and_how_far_it_is(page: Page) -> None:
    job = {"state": "queued", "reason": None, "study_id": "s", "progress": None}

    def words(workers: list[dict[str, Any]] | None, ahead: int = 0, **changes: Any) -> str:
        told = call(page, "jobs", "progressOf", {**job, **changes}, {"workers": workers, "ahead": ahead})
        return str(told["words"])

    busy, free = {"alive": True, "study_id": "s"}, {"alive": True, "study_id": None}
    assert "start one with `supernaut worker`" in words([{"alive": False, "study_id": None}])
    assert "works on this study" in words([busy, free])
    assert "2 jobs of this study" in words([free], ahead=2)
    assert words([free]) == "It waits for 1 worker; one takes it when it is free."
    assert words(None, reason="its worker let it go").startswith("It was begun and waits again: its worker let it go.")
    assert "A worker has taken it" in words(None, state="running")
    told = {"stage": "retrain", "done": 3, "total": 40, "detail": "trial 1 of 2"}
    assert words(None, state="running", progress=told) == "retrain: 3 of 40, trial 1 of 2"
    assert words(None, state="running", progress={"stage": "export", "message": "scoring"}) == "export: scoring"
