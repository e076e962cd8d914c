"""What a study found, over the API: the same numbers as in the record, by page, as columns, as a front."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.front import read_front
from runner.search.pareto import hypervolume
from runner.service import fronts, kept
from runner.service.columns import Table
from runner.service.filters import read_filter
from runner.service.kept import Kept
from runner.service.problems import Problem
from runner.store import Repository as Repository_
from runner.store.queries import EVALUATION_FIELDS
from search_spaces import Architecture
from tests.runner.service.studies import (
    an_evaluation,
    create_study,
    record_failure,
    record_model,
    record_search,
    start_study,
)
from tests.runner.service.test_studies_api import pages

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.store import Repository

STUDY = "/api/v1/studies/digits"
EVALUATIONS = f"{STUDY}/evaluations"


def test_evaluations_are_those_of_the_record(client: TestClient, digits: Repository) -> None:
    records = digits.evaluations(digits.study("digits").id)
    found = pages(client, EVALUATIONS, limit=7)
    assert [each["id"] for each in found] == [record.id for record in records]
    for document, record in zip(found, records, strict=True):
        assert document["digest"] == record.digest
        assert document["architecture"] == json.loads(record.architecture_json)
        assert [value["value"] for value in document["values"]] == [value.value for value in record.values]


def test_they_come_in_any_order_each_once(client: TestClient, digits: Repository) -> None:
    for sort in ["error", "-error", "latency_ms", "-created_at", "digest", "-sequence", "test_error"]:
        found = pages(client, EVALUATIONS, sort=sort, limit=9)
        assert sorted(each["id"] for each in found) == [r.id for r in digits.evaluations(digits.study("digits").id)]
        if sort == "-error":
            best = [min(v["value"] for v in each["values"] if v["metric"] == "error") for each in found]
            assert best == sorted(best, reverse=True)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("error<=0.03", lambda e: value(e, "error") <= 0.03),
        ("error > 0.03 and latency_ms<0.3", lambda e: value(e, "error") > 0.03 and value(e, "latency_ms") < 0.3),
        ("state=complete AND fidelity=\"inherited\"", lambda e: e["fidelity"] == "inherited"),
        ("fidelity!=inherited", lambda e: e["fidelity"] != "inherited"),
        ("sequence>=5 and sequence<8", lambda e: 5 <= e["sequence"] < 8),
        ("created_at>=2026-01-01T00:00:00Z", lambda e: True),
        ("created_at<2026-01-01", lambda e: False),
        ("model_bytes>=1e5", lambda e: value(e, "model_bytes") >= 1e5),
        ("  ", lambda e: True),
    ],
)  # fmt: skip
def test_a_filter_keeps_what_it_says(client: TestClient, digits: Repository, filter: str, expected: Any) -> None:
    del digits
    every = pages(client, EVALUATIONS)
    found = pages(client, EVALUATIONS, filter=filter, limit=4)
    assert [each["id"] for each in found] == [each["id"] for each in every if expected(each)]


def value(document: dict[str, Any], metric: str) -> float:
    return next((v["value"] for v in document["values"] if v["metric"] == metric), float("nan"))


def test_what_is_no_filter_is_refused(client: TestClient, digits: Repository) -> None:
    del digits
    for filter in [
        "error",
        "error<",
        "<3",
        "error<=x",
        "error<=nan",
        "error<=1e999",
        "error<=1 or state=complete",
        "error<=1,",
        "unheard<1",
        "error<1 and",
        "and error<1",
        "state<complete",
        "state=odd",
        "sequence=1.5",
        "created_at=soon",
        "error<1; drop table study",
        "error<1--",
        "error=(select 1)",
        "error<'1'",
        "error<0x10",
        "digest='a' or 1=1",
        "error^=1",
        'origin="unclosed',
        "error<1 and " * 9 + "error<1",
        "x" * 2001,
        "\u00e9<1",
        "error<\u0661",
        "created_at=9999-12-31T23:59:59-23:59",
    ]:
        answer = client.get(EVALUATIONS, params={"filter": filter})
        assert answer.json()["code"] in ("bad_filter", "invalid")


@given(st.text(max_size=60))
def test_no_text_breaks_the_filter(text: str) -> None:
    with suppress(Problem):
        assert {each.field for each in read_filter(text, ("error",))} <= {"error", *EVALUATION_FIELDS}


def test_what_is_no_order_is_refused(client: TestClient, digits: Repository) -> None:
    del digits
    for sort in ["", "-", "unheard", "--error", "error;", "error,latency_ms", "value", "id"]:
        assert client.get(EVALUATIONS, params={"sort": sort}).json()["code"] == "bad_sort"


def test_the_front_is_the_record_s(client: TestClient, digits: Repository) -> None:
    front = read_front(digits.study("digits"), digits)
    document = client.get(f"{STUDY}/front").json()
    assert document["goals"] == front.goals
    assert [point["digest"] for point in document["points"]] == [p.architecture.digest for p in front.points]
    assert {point["digest"] for point in document["others"]} == {p.architecture.digest for p in front.others}
    assert front.knee is not None
    assert document["knee"] == front.knee.architecture.digest
    assert document["ends"] == {
        metric: point.architecture.digest for metric, point in zip(front.goals, front.ends, strict=True)
    }
    assert document["evaluated"] == 40
    knee = next(point for point in document["points"] if point["digest"] == document["knee"])
    assert set(knee["later"]) == {"retrained", "exported"}
    for value_ in knee["values"]:
        assert value_["value"] == front.knee.values[value_["metric"]].value
    few = client.get(f"{STUDY}/front", params={"others": 2}).json()
    assert (len(few["others"]), few["left_out"]) == (2, len(front.others) - 2)


def test_a_front_is_new_as_soon_as_the_study_is(
    client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_CHEAP_S", 3600.0)
    before = client.get(f"{STUDY}/front").json()
    study = create_study(digits, "other")
    start_study(digits, study)
    record_search(digits, study, 5)
    assert client.get("/api/v1/studies/other/front").json()["evaluated"] == 5
    record_failure(digits, study, "loss is nan")
    record_search(digits, study, 12)
    assert client.get("/api/v1/studies/other/front").json()["evaluated"] == 12
    assert client.get(f"{STUDY}/front").json() == before


def test_what_took_long_is_computed_once_and_kept_for_a_while() -> None:
    now, computed = [0.0], []
    kept_: Kept[int] = Kept(size=2, clock=lambda: now[0])

    def compute() -> int:
        now[0] += 2.0
        computed.append(1)
        return len(computed)

    assert kept_.get("a", 1, compute, changing=False) == kept_.get("a", 1, compute, changing=False) == 1
    assert kept_.get("a", 2, compute, changing=True) == 1  # ten times two seconds have not gone by
    now[0] += 21
    assert kept_.get("a", 2, compute, changing=True) == 2
    now[0] += 21
    assert kept_.get("a", 2, compute, changing=False) == 2
    assert kept_.get("a", 2, compute, changing=True) == 3
    kept_.get("b", 1, compute, changing=False)
    kept_.get("c", 1, compute, changing=False)
    assert kept_.get("a", 2, compute, changing=False) == 6


def test_columns_hold_every_evaluation(client: TestClient, digits: Repository) -> None:
    records = digits.evaluations(digits.study("digits").id)
    document = client.get(f"{STUDY}/columns").json()
    assert document["count"] == len(records) == len(document["id"]) == len(document["fidelity"])
    assert set(document["metrics"]) == {"error", "latency_ms", "model_bytes"}
    assert document["digest"] == [record.digest for record in records]
    column = document["metrics"]["model_bytes"]
    place = document["provenances"].index("computed")
    assert column["provenance"][0] == place
    assert column["value"][0] == next(v.value for v in records[0].values if v.metric == "model_bytes")
    other = client.get(f"{STUDY}/columns", params={"metrics": "test_error, unheard,test_error"}).json()
    assert sum(each is not None for each in other["metrics"]["test_error"]["value"]) == 1
    assert set(other["metrics"]["unheard"]["value"]) == {None}
    for metrics in ("", ",", "a\x00", ",".join(map(str, range(33))), "x" * 65):
        assert client.get(f"{STUDY}/columns", params={"metrics": metrics}).json()["code"] == "bad_request"


def test_columns_are_compressed_for_who_can_read_that(client: TestClient, digits: Repository) -> None:
    del digits
    plain = client.get(f"{STUDY}/columns", headers={"accept-encoding": "identity"})
    packed = client.get(f"{STUDY}/columns", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()


def test_the_hypervolume_ends_at_that_of_the_front(client: TestClient, digits: Repository) -> None:
    front = read_front(digits.study("digits"), digits)
    document = client.get(f"{STUDY}/hypervolume").json()
    assert document["metrics"] == list(front.goals)
    every = [[point.number(metric) for metric in front.goals] for point in (*front.points, *front.others)]
    corner = [max(column) for column in zip(*every, strict=True)]
    assert document["reference"] == corner
    assert document["hypervolume"][-1] == pytest.approx(hypervolume(every, corner))
    assert document["hypervolume"] == sorted(document["hypervolume"])
    assert document["evaluations"][0] == 1
    assert document["evaluations"][-1] == 40


def test_bounds_count_for_the_hypervolume(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "bounded", {"error": {"at_most": 0.03}, "model_bytes": {}})
    start_study(digits, study)
    record_search(digits, study, 40)
    document = client.get("/api/v1/studies/bounded/hypervolume").json()
    assert document["reference"][0] <= 0.03
    assert document["evaluations"][-1] <= 40
    assert len(document["evaluations"]) == sum(
        value(each, "error") <= 0.03 for each in pages(client, "/api/v1/studies/bounded/evaluations")
    )


def test_an_architecture_is_told_layer_by_layer(client: TestClient, digits: Repository) -> None:
    front = read_front(digits.study("digits"), digits)
    assert front.knee is not None
    digest = front.knee.architecture.digest
    document = client.get(f"{STUDY}/architectures/{digest}").json()
    assert document == client.get(f"{STUDY}/architectures/knee").json()
    assert document["architecture"] == dict(front.knee.architecture)
    assert document["places"][0] == {"place": [], "answers": dict(front.knee.architecture)}
    assert (document["knee"], document["on_front"]) == (True, True)
    assert [each["fidelity"] for each in document["numbers"]] == ["inherited", "retrained", "exported"]
    other = next(point.architecture.digest for point in front.others)
    assert client.get(f"{STUDY}/architectures/{other[:8]}").json()["on_front"] is False
    for missing in ("ffffffffffff", "0000"):
        assert client.get(f"{STUDY}/architectures/{missing}").json()["code"] == "point_not_found"
    for odd in ("ABCD", "abc", "..%2f..", "%00", "%2e%2e"):
        assert client.get(f"{STUDY}/architectures/{odd}").status_code in (404, 422)


def test_a_study_of_another_version_is_listed_and_has_no_front(client: TestClient, digits: Repository) -> None:
    digits.create_study(name="elsewhere", spec='{"unheard": "of"}', spec_digest="d", seed=0)
    path = "/api/v1/studies/elsewhere"
    assert client.get(path).json()["objectives"] is None
    assert client.get(path).json()["spec"] == {"unheard": "of"}
    for what in ("/front", "/hypervolume", "/columns"):
        assert client.get(path + what).json()["code"] == "no_front"
    assert client.get(f"{path}/columns", params={"metrics": "error"}).status_code == 200


HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>\u202e"


def test_what_the_record_holds_comes_back_as_text(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "hostile", {"error": {}, HOSTILE: {}})
    start_study(digits, study)
    record_failure(digits, study, HOSTILE, kind=HOSTILE)
    digits.transition_study(study.id, "running", "failed", HOSTILE)
    path = "/api/v1/studies/hostile"
    answer = client.patch(path, json={"notes": HOSTILE, "tags": [HOSTILE[:64]]}, headers={"if-match": "*"})
    assert (answer.json()["notes"], answer.json()["tags"], answer.json()["reason"]) == (
        HOSTILE,
        [HOSTILE[:64]],
        HOSTILE,
    )
    for what in ("", "/evaluations", "/stages", "/front", "/columns", "/hypervolume"):
        answer = client.get(path + what)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    (evaluation,) = client.get(f"{path}/evaluations").json()["items"]
    assert evaluation["failure"] == {"kind": HOSTILE, "message": HOSTILE}


def test_a_front_that_is_read_in_part_is_the_whole_one(
    client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "SHOWN_OTHERS", 3)
    study = digits.study("digits")
    front = read_front(study, digits)
    later = {point.architecture.digest for point in front.others if point.later}
    document = client.get(f"{STUDY}/front").json()
    assert [point["digest"] for point in document["points"]] == [p.architecture.digest for p in front.points]
    assert document["evaluated"] == 40
    shown = {point["digest"] for point in document["others"]}
    assert later <= shown
    assert len(shown) + len(document["points"]) + document["left_out"] == 40
    newest = [r.digest for r in reversed(digits.evaluations(study.id, "inherited"))][:3]
    on_front = {point["digest"] for point in document["points"]}
    assert set(newest) <= shown | on_front


def test_columns_hold_choices(client: TestClient, digits: Repository) -> None:
    records = digits.evaluations(digits.study("digits").id)
    asked = {"choices": "width, depth,unheard,width", "metrics": "error"}
    found = client.get(f"{STUDY}/columns", params=asked).json()
    assert set(found["choices"]) == {"width", "depth", "unheard"}
    assert found["choices"]["unheard"] == {"values": [], "code": [None] * len(records)}
    width = found["choices"]["width"]
    assert width["values"] == [32, 48, 64]
    answers = [json.loads(record.architecture_json) for record in records]
    assert [width["values"][code] for code in width["code"]] == [each["width"] for each in answers]
    assert client.get(f"{STUDY}/columns").json()["choices"] == {}
    for choices in ("", ",", "a\x00", ",".join(map(str, range(33)))):
        assert client.get(f"{STUDY}/columns", params={"choices": choices}).json()["code"] == "bad_request"


def test_a_choice_that_does_not_apply_is_null_and_types_stay_apart(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "odd", {"error": {}})
    start_study(digits, study)
    for place, answer in enumerate([True, 1, 1.0, "1", HOSTILE, None]):
        answers = {"place": place} if answer is None else {"place": place, "odd": answer}
        digits.record_evaluation(study.id, an_evaluation(Architecture(answers)))
    text = client.get("/api/v1/studies/odd/columns", params={"choices": "odd"}).text
    found = json.loads(text)["choices"]["odd"]
    kinds = [type(found["values"][code]).__name__ for code in found["code"][:5]]
    assert kinds == ["bool", "int", "float", "str", "str"]
    assert found["values"][found["code"][4]] == HOSTILE
    assert found["code"][5] is None


def test_columns_after_an_id_hold_what_is_new(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    other = create_study(digits, "between")  # whose ids lie between
    start_study(digits, other)
    record_search(digits, other, 3)
    whole = client.get(f"{STUDY}/columns", params={"choices": "width"}).json()
    last = whole["id"][-1]
    asked = {"after": last, "choices": "width"}
    assert client.get(f"{STUDY}/columns", params=asked).json()["count"] == 0
    record_failure(digits, study, "loss is nan")
    record_model(digits, study, Architecture({"width": 48}), 0.5)
    new = client.get(f"{STUDY}/columns", params=asked).json()
    again = client.get(f"{STUDY}/columns", params={"choices": "width"}).json()
    assert new["count"] == 2
    assert again["id"][-2:] == new["id"]
    assert min(new["id"]) > last
    assert new["state"] == ["failed", "complete"]
    assert new["metrics"]["error"]["value"] == [None, 0.5]
    assert new["metrics"]["error"]["provenance"] == [None, new["provenances"].index("retrained")]
    assert new["choices"]["width"] == {"values": [48], "code": [None, 0]}
    middle = client.get(f"{STUDY}/columns", params={"after": again["id"][20]}).json()
    assert middle["id"] == again["id"][21:]
    assert middle["metrics"]["error"]["value"] == again["metrics"]["error"]["value"][21:]
    assert client.get(f"{STUDY}/columns", params={"after": -1}).status_code == 422
    assert client.get(f"{STUDY}/columns", params={"after": 2**63}).status_code == 422
    assert client.get(f"{STUDY}/columns", params={"after": 2**63 - 1}).json()["count"] == 0


def test_what_came_while_columns_were_kept_is_left_out_of_all_of_them(digits: Repository) -> None:
    study = digits.study("digits")
    table = Table.read(digits, study.id, ["error"])
    count = len(table.ids)
    record_model(digits, study, Architecture({"width": 48}), 0.5)
    assert len(table.numbers(digits, "latency_ms").values) == count
    assert len(table.choices(digits, ["width"])["width"].codes) == count
    assert json.loads(table.text(digits, ["error", "latency_ms"], ["width"]))["count"] == count


def test_a_front_without_others_reads_few_rows_whole(
    client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    usual = Repository_.evaluations_of

    def counted(self: Any, study_id: str, digests: Any) -> Any:
        found = list(digests)
        read.append(len(set(found)))
        return usual(self, study_id, found)

    monkeypatch.setattr(Repository_, "evaluations_of", counted)
    front = read_front(digits.study("digits"), digits)
    document = client.get(f"{STUDY}/front", params={"others": 0}).json()
    assert len(document["points"]) == len(front.points)
    assert document["left_out"] == len(front.others)
    assert sum(read) <= len(front.points) + sum(bool(point.later) for point in front.others)


def test_one_reading_serves_front_columns_course_and_importances(
    client: TestClient, digits: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    del digits
    read: list[Any] = []
    usual = Repository_.columns
    monkeypatch.setattr(
        Repository_, "columns", lambda self, *args, **named: read.append(args) or usual(self, *args, **named)
    )
    for what in ("front?others=0", "columns", "hypervolume", "importances", "front", "columns?metrics=macs", "trust"):
        assert client.get(f"{STUDY}/{what}").status_code == 200
    assert len(read) == 1
