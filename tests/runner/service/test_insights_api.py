"""What a study's numbers say, over the API: against records whose numbers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.front import read_front
from runner.service import insights, kept
from runner.service.metric_words import label_of
from runner.store import ValueRecord
from search_spaces import Architecture
from tests.runner.service.studies import (
    an_evaluation,
    create_study,
    measured,
    predicted,
    record_fidelity,
    record_model,
    record_search,
    start_study,
)

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.store import Repository, StudyRecord

STUDIES = "/api/v1/studies"


def begun(repository: Repository, name: str, objectives: dict[str, Any]) -> StudyRecord:
    study = create_study(repository, name, objectives)
    start_study(repository, study)
    return study


def record(repository: Repository, study: StudyRecord, answers: dict[str, Any], **values: float) -> str:
    architecture = Architecture(answers)
    made = [ValueRecord(metric=name, value=value, provenance="inherited") for name, value in values.items()]
    repository.record_evaluation(study.id, an_evaluation(architecture, *made))
    return architecture.digest


def test_metrics_have_words_units_goals_and_bounds(client: TestClient, digits: Repository) -> None:
    study = begun(digits, "words", {"accuracy": {"at_least": 0.9}, "latency_ms": {"goal": "maximize"}})
    record(digits, study, {"depth": 2}, accuracy=0.8, test_error=0.2, test_accuracy=0.8, sparkle=1.0, macs=5.0)
    document = client.get(f"{STUDIES}/words/metrics").json()
    found = {each["metric"]: each for each in document["items"]}
    assert list(found)[:2] == ["accuracy", "latency_ms"]
    assert set(found) == {"accuracy", "latency_ms", "test_error", "test_accuracy", "sparkle", "macs"}
    assert found["accuracy"] == {
        "metric": "accuracy", "label": "accuracy", "unit": "fraction", "goal": "maximize", "objective": True,
        "at_least": 0.9, "at_most": None, "computed": False,
    }  # fmt: skip
    assert (found["latency_ms"]["label"], found["latency_ms"]["unit"]) == ("latency", "ms")
    assert found["latency_ms"]["goal"] == "maximize"  # the study's own word
    assert (found["test_error"]["label"], found["test_error"]["goal"]) == ("test error", "minimize")
    assert found["test_accuracy"]["goal"] == "maximize"
    assert (found["sparkle"]["unit"], found["sparkle"]["goal"], found["sparkle"]["objective"]) == ("", None, False)
    assert found["macs"]["computed"] is True
    names = [each["name"] for each in document["provenances"]]
    assert names == client.get(f"{STUDIES}/words/columns").json()["provenances"]
    assert all(each["meaning"] for each in document["provenances"])


def test_labels_leave_no_unit_behind() -> None:
    for metric, label in {
        "model_bytes": "model size",
        "prefill_latency_ms": "prefill latency",
        "test_kv_cache_bytes": "test KV cache",
        "own_score": "own score",
        "_ms": "_ms",
    }.items():
        assert label_of(metric) == label


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_importances_are_signed_by_the_goal(client: TestClient, repository: Repository, goal: str) -> None:
    """The score rises by exactly 0.01 with each unit of width, whichever way is better."""
    study = begun(repository, "known", {"score": {"goal": goal}})
    for index in range(48):
        width = (32, 48, 64)[index % 3]
        record(repository, study, {"width": width, "depth": 2 + index % 4, "seed": index}, score=0.01 * width)
    document = client.get(f"{STUDIES}/known/importances").json()
    assert (document["evaluations"], document["of"], document["reason"]) == (48, 48, None)
    (metric,) = document["metrics"]
    assert metric["agreement"] > 0.9
    assert "permutation" in metric["method"]
    width = metric["choices"][0]
    assert (width["choice"], width["direction"]) == ("width", "raises")
    assert (width["best"], width["worst"]) == ((32, 64) if goal == "minimize" else (64, 32))
    assert width["effect"] == pytest.approx(0.32)
    (rule, *_) = document["rules"]
    first = rule["conditions"][0]
    assert first["choice"] == "width"
    assert (rule["mean"] < rule["rest"]) is (goal == "minimize")
    fulfilled = {32: 16, 48: 16, 64: 16}
    if first["comparison"] == "is":
        assert rule["support"] == fulfilled[first["value"]]


def test_too_few_or_all_the_same_have_a_reason(client: TestClient, repository: Repository) -> None:
    study = begun(repository, "few", {"score": {}})
    for index in range(insights.FEWEST - 1):
        record(repository, study, {"width": index}, score=1.0 * index)
    document = client.get(f"{STUDIES}/few/importances").json()
    assert (document["evaluations"], document["of"], document["metrics"], document["rules"]) == (0, 11, [], [])
    assert "12" in document["reason"]
    record(repository, study, {"width": 99}, score=3.0)
    assert client.get(f"{STUDIES}/few/importances").json()["reason"] is None


def test_of_many_evaluations_some_are_looked_at(
    client: TestClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insights, "LOOKED_AT", 20)
    study = begun(repository, "many", {"score": {}})
    for index in range(40):
        record(repository, study, {"width": index % 4, "seed": index}, score=float(index % 4))
    document = client.get(f"{STUDIES}/many/importances").json()
    assert (document["evaluations"], document["of"]) == (20, 40)


def test_predictions_stand_beside_what_was_measured(client: TestClient, repository: Repository) -> None:
    study = begun(repository, "checked", {"error": {}, "latency_ms": {}})
    digests = []
    for index, (before, later) in enumerate([(1.0, 1.1), (2.0, 3.0), (4.0, 3.9)]):
        architecture = Architecture({"depth": index})
        made, _ = repository.record_evaluation(study.id, an_evaluation(architecture, predicted(before)))
        repository.add_value(made.id, measured(later))
        digests.append(architecture.digest)
    repository.record_evaluation(study.id, an_evaluation(Architecture({"depth": 9}), predicted(7.0)))
    (found,) = client.get(f"{STUDIES}/checked/calibration").json()["items"]
    assert (found["metric"], found["label"], found["unit"], found["level"]) == ("latency_ms", "latency", "ms", 0.9)
    assert (found["checked"], found["inside"]) == (3, 2)  # 2.0 promised at most 2.5
    assert found["mean_absolute_error"] == pytest.approx((0.1 + 1.0 + 0.1) / 3)
    assert found["kendall"] == pytest.approx(1.0)
    assert [point["digest"] for point in found["points"]] == digests[::-1]
    assert found["points"][-1] == {
        "digest": digests[0], "predicted": 1.0, "lower": 0.8, "upper": 1.25,
        "measured": 1.1, "measured_lower": 1.1 * 0.96, "measured_upper": 1.1 * 1.05,
    }  # fmt: skip


def test_a_study_without_latencies_predicts_none(client: TestClient, repository: Repository) -> None:
    begun(repository, "plain", {"error": {}})
    assert client.get(f"{STUDIES}/plain/calibration").json() == {"items": []}
    begun(repository, "empty", {"latency_ms": {}})
    (found,) = client.get(f"{STUDIES}/empty/calibration").json()["items"]
    assert (found["checked"], found["kendall"], found["points"]) == (0, None, [])


def test_training_is_told_by_subnet(client: TestClient, repository: Repository) -> None:
    study = begun(repository, "trained", {"error": {}})
    repository.add_event(study.id, "train.precision", {"precision": "bf16", "speedup": 1.4})
    for step, largest in ((100, 0.5), (200, None)):
        repository.add_event(study.id, "train.health", {"step": step, "largest": largest, "random": 0.6, "smallest": 1})
    document = client.get(f"{STUDIES}/trained/training").json()
    assert document == {
        "metric": "error", "goal": "minimize", "precision": "bf16", "steps_wanted": 1500, "steps": [100, 200],
        "series": {"largest": [0.5, None], "random": [0.6, 0.6], "smallest": [1, 1]}, "rollbacks": 0,
    }  # fmt: skip


def test_trust_says_what_the_page_said(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    before = client.get(f"{STUDIES}/digits/trust").json()
    assert before["fidelity"] is None
    assert before["agreement"]["rows"] == []
    assert "fewer than 3 say nothing" in " ".join(before["agreement"]["sentences"])
    front = read_front(study, digits)
    others = [point for point in front.points if point is not front.knee]
    for place, point in enumerate(others[:3]):
        record_model(digits, study, point.architecture, 0.01 + 0.01 * place)
    record_fidelity(digits, study)
    document = client.get(f"{STUDIES}/digits/trust").json()
    (row,) = document["agreement"]["rows"]
    assert row[:4] == ["error", "shared weights", "retrained", "4"]
    assert len(document["agreement"]["columns"]) == len(row)
    assert document["fidelity"]["rows"]
    assert document["fidelity"]["columns"][0] == "ranking by"
    assert document["fidelity"]["picture"].startswith(f"/studies/{study.id}/fidelity.svg?at=")
    assert client.get(document["fidelity"]["picture"]).status_code == 200


def test_history_is_the_newest_first_and_whole(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    events = digits.events(study.id)
    found: list[int] = []
    cursor = None
    for _ in range(len(events)):
        page = client.get(f"{STUDIES}/digits/history", params={"limit": 5, **({"cursor": cursor} if cursor else {})})
        found += [each["number"] for each in page.json()["items"]]
        if cursor is None:
            digits.add_event(study.id, "note", {"message": "in between"})  # moves nothing
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == [event.number for event in reversed(events)]
    of_evaluations = client.get(f"{STUDIES}/digits/evaluations", params={"limit": 1}).json()["next_cursor"]
    answer = client.get(f"{STUDIES}/digits/history", params={"cursor": of_evaluations})
    assert answer.json()["code"] == "cursor_of_another_query"


def test_a_study_of_another_version_has_no_insights(client: TestClient, digits: Repository) -> None:
    digits.create_study(name="elsewhere", spec='{"unheard": "of"}', spec_digest="d", seed=0)
    for what in ("importances", "calibration", "training", "trust"):
        assert client.get(f"{STUDIES}/elsewhere/{what}").json()["code"] == "no_front"
    assert client.get(f"{STUDIES}/elsewhere/metrics").json()["items"] == []
    assert client.get(f"{STUDIES}/elsewhere/history").status_code == 200


def test_an_architecture_has_its_neighbours_on_the_front(client: TestClient, digits: Repository) -> None:
    front = read_front(digits.study("digits"), digits)
    point = front.others[0].architecture
    document = client.get(f"{STUDIES}/digits/architectures/{point.digest}").json()
    found = document["neighbours"]
    assert 0 < len(found) <= 8
    assert {each["digest"] for each in found} <= {each.architecture.digest for each in front.points}
    assert [each["differences"] for each in found] == sorted(each["differences"] for each in found)
    by_digest = {each.architecture.digest: each.architecture for each in front.points}
    for each in found:
        there = by_digest[each["digest"]]
        assert each["differences"] == len(each["changed"]) == sum(point[name] != there[name] for name in point)
        for changed in each["changed"]:
            assert (changed["here"], changed["there"]) == (point[changed["choice"]], there[changed["choice"]])
    on_front = client.get(f"{STUDIES}/digits/architectures/knee").json()
    assert on_front["digest"] not in [each["digest"] for each in on_front["neighbours"]]


def test_the_course_says_when(client: TestClient, digits: Repository) -> None:
    document = client.get(f"{STUDIES}/digits/hypervolume").json()
    assert len(document["times"]) == len(document["evaluations"])
    assert document["times"] == sorted(document["times"])
    first = digits.evaluations(digits.study("digits").id)[0].created_at
    assert document["times"][0].removesuffix("Z") == first.isoformat().removesuffix("+00:00")


def test_what_is_computed_is_kept_until_the_study_changes(
    client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    usual = insights.judge
    monkeypatch.setattr(insights, "judge", lambda *args, **named: computed.append(1) or usual(*args, **named))
    first = client.get(f"{STUDIES}/digits/importances").json()
    assert client.get(f"{STUDIES}/digits/importances").json() == first
    assert len(computed) == 3  # one an objective
    assert first["of"] == 40
    study = begun(digits, "growing", {"error": {}, "latency_ms": {}})
    record_search(digits, study, 15)
    assert client.get(f"{STUDIES}/growing/importances").json()["of"] == 15
    monkeypatch.setattr(kept, "_CHEAP_S", 3600.0)  # however long that took
    record_search(digits, study, 20)
    assert client.get(f"{STUDIES}/growing/importances").json()["of"] == 20
