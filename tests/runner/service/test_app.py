import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from runner.fidelity.words import sentences, table_rows
from runner.front import read_front
from runner.store import Repository
from tests.runner.fidelity.reports import report
from tests.runner.service.pages import Page
from tests.runner.service.studies import (
    create_study,
    record_failure,
    record_fidelity,
    record_search,
    start_study,
)


def test_without_scripts_the_first_page_says_what_to_type(client: TestClient, database: Path) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert f"supernaut --home {database.parent} list" in page.words
    assert ("data-example", f"supernaut --home {database.parent} run examples/digits.yaml") in page.attributes


def test_the_form_is_for_those_who_may_read(client: TestClient) -> None:
    page = Page(client.get("/new").text)
    assert "submit examples/digits.yaml" in page.words
    assert "/static/pages/new.js" in page.links


def test_a_study_is_found_by_its_id_its_name_and_a_beginning_of_its_id(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    for name in (study.id, study.name, study.short_id):
        assert client.get(f"/studies/{name}").status_code == 200


def test_the_page_of_a_study_tells_its_front_in_numbers(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    front = read_front(study, digits)
    page = Page(client.get("/studies/digits").text)
    assert f"{len(front.points)} on the front of 40 evaluated" in page.words
    for point in front.points:
        assert point.architecture.digest in page.words
        assert f"{point.number('model_bytes'):,.0f} computed" in page.words
    assert front.knee is not None
    assert f"{front.knee.architecture.digest} knee depth" in page.words
    assert "error (fraction) lower is better latency_ms lower is better model_bytes lower is better" in page.words
    latency = front.knee.values["latency_ms"]
    assert latency.lower is not None
    assert f"inherited, {latency.lower:.4f} to" in page.words
    assert "points 12, latency_ms: 8 of 9 inside their interval" in page.words


def test_the_page_of_a_study_tells_what_the_exported_file_reached(client: TestClient, digits: Repository) -> None:
    page = Page(client.get("/studies/digits").text)
    for words in (
        "metric shared weights retrained exported file",
        "0.01380 retrained",
        "test_error (fraction) not measured not measured 0.02220 exported",
        "file_bytes not measured not measured 131,072 exported",
        "in /somewhere/bundles/",
        "exported measured on the exported file",
    ):
        assert words in page.words
    assert "predicted" not in page.words


def test_the_page_of_a_study_says_how_to_go_on(client: TestClient, digits: Repository, database: Path) -> None:
    page = Page(client.get("/studies/digits").text)
    for command in ("show digits knee", "front digits --output csv", "export digits DIGEST --to DIR", "status digits"):
        assert f"supernaut --home {database.parent} {command}" in page.words
    assert "resume" not in page.words


def test_a_running_study_tells_stages_predictions_and_failures(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "half-way")
    start_study(digits, study, ("train", "profile"))
    digits.transition_stage(study.id, "search", "pending", "running")
    record_search(digits, study, 12)
    record_failure(digits, study, "loss is nan")
    answer = client.get("/studies/half-way")
    page = Page(answer.text)
    for words in (
        "train complete in",
        "search running for 59 min",
        "confirm pending",
        "predicted,",
        "13, 1 of them failed",
        "(not_finite): loss is nan",
        "resume half-way",
        "estimated; nobody measured it",
    ):
        assert words in page.words
    assert "/static/live.js" in page.links
    assert "/static/live.js" not in Page(client.get("/studies/digits").text).links


def test_a_study_without_rows_has_a_page(client: TestClient, digits: Repository) -> None:
    create_study(digits, "later")
    page = Page(client.get("/studies/later").text)
    assert "Nothing has been evaluated yet" in page.words
    assert "img" in page.tags  # the brand's
    assert not any("front.svg" in link for link in page.links)


def test_a_front_that_nothing_reaches_has_a_page(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "strict", {"error": {"at_most": 1e-6}, "latency_ms": {}})
    start_study(digits, study)
    record_search(digits, study, 5)
    page = Page(client.get("/studies/strict").text)
    assert "none of the 5 evaluated architectures keeps the bounds" in page.words


def test_a_specification_of_another_version_spoils_no_page(client: TestClient, digits: Repository) -> None:
    digits.create_study(name="from-elsewhere", spec='{"unheard": "of"}', spec_digest="d", seed=0)
    assert "from-elsewhere" in {study["name"] for study in client.get("/api/v1/studies").json()["items"]}
    page = Page(client.get("/studies/from-elsewhere").text)
    assert "written by another version of Supernaut" in page.words
    assert client.get("/studies/from-elsewhere/front.svg").status_code == 409


def test_the_picture_is_the_one_that_the_command_line_writes(
    client: TestClient, digits: Repository, tmp_path: Path
) -> None:
    from runner.dashboard.picture import write_picture

    study = digits.study("digits")
    write_picture(tmp_path / "front.svg", study.name, read_front(study, digits))
    answer = client.get(f"/studies/{study.id}/front.svg?at=1")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.text == (tmp_path / "front.svg").read_text(encoding="utf-8")
    assert ET.fromstring(answer.text).tag.endswith("svg")


def test_the_address_of_the_picture_changes_with_the_record(client: TestClient, digits: Repository) -> None:
    def address() -> str:
        return next(link for link in Page(client.get("/studies/digits").text).links if "front.svg" in link)

    before = address()
    assert address() == before
    record_failure(digits, digits.study("digits"), "one more row")
    assert address() != before


def test_health_and_static_files_are_answered(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    for name, kind in (("style.css", "text/css"), ("live.js", "javascript"), ("icon.svg", "image/svg+xml")):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/", "/studies/digits", "/studies/digits/front.svg", "/healthz", "/static/style.css"])
def test_head_is_get_without_a_body(client: TestClient, digits: Repository, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_reading_changes_nothing(client: TestClient, digits: Repository, database: Path) -> None:
    def content() -> list[str]:
        with closing(sqlite3.connect(database)) as connection:
            return list(connection.iterdump())

    before = content()
    for path in ("/", "/studies/digits", "/studies/digits/front.svg", "/studies/nobody", "/healthz"):
        client.get(path)
    assert content() == before


HOSTILE = "<img src=x onerror=alert(1)>\"'{{7919*7907}}</title><script>alert(2)</script>\x1b[31m\u202e"


def test_what_the_record_holds_is_shown_as_text(client: TestClient, digits: Repository) -> None:
    study = create_study(digits, "hostile", {"error": {}, HOSTILE: {}})
    start_study(digits, study)
    digits.transition_stage(study.id, "profile", "pending", "running")
    digits.transition_stage(study.id, "profile", "running", "failed", {"reason": HOSTILE, "health": [HOSTILE]})
    record_failure(digits, study, HOSTILE, kind=HOSTILE)
    from runner.store import ValueRecord
    from search_spaces import Architecture
    from tests.runner.service.studies import an_evaluation

    architecture = Architecture({HOSTILE: HOSTILE})
    values = [ValueRecord(metric=metric, value=0.5, provenance="inherited") for metric in ("error", HOSTILE)]
    digits.record_evaluation(study.id, an_evaluation(architecture, *values))
    digits.transition_study(study.id, "running", "failed", HOSTILE)
    for path in ("/", "/studies/hostile", "/studies/%3Cscript%3Ealert(1)%3C%2Fscript%3E"):
        answer = client.get(path)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        page = Page(answer.text)
        assert "x" not in page.links
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert str(7919 * 7907) not in page.words
    assert "<img src=x onerror=alert(1)>" in Page(client.get("/studies/hostile").text).words
    picture = ET.fromstring(client.get("/studies/hostile/front.svg").text)
    assert not [each for each in picture.iter() if each.tag.endswith(("img", "script"))]


def test_a_page_shows_how_far_shared_weights_are_to_be_trusted(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    before = client.get("/studies/digits").text
    assert "How far to trust" not in before
    record_fidelity(digits, study)
    text = client.get("/studies/digits").text
    page = Page(text)
    made = report()
    for sentence in sentences(made):
        assert sentence in page.words
    for cells in table_rows(made):
        assert " ".join(cell for cell in cells if cell) in page.words
    (picture, _) = [link for link in page.links if link.startswith(f"/studies/{study.id}/fidelity.svg")]
    answer = client.get(picture)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ET.fromstring(answer.text).findtext("{http://www.w3.org/2000/svg}title") is not None


def test_the_rows_of_a_comparison_change_no_front_and_no_count(client: TestClient, digits: Repository) -> None:
    study = digits.study("digits")
    front = read_front(study, digits)
    record_fidelity(digits, study)
    record_failure(digits, study, "loss is nan", fidelity="alone")
    assert read_front(study, digits) == front
    assert "Failures" not in Page(client.get("/studies/digits").text).words


def test_there_is_no_picture_of_what_was_not_compared(client: TestClient, digits: Repository) -> None:
    del digits
    answer = client.get("/studies/digits/fidelity.svg")
    assert answer.status_code == 404
    assert "supernaut fidelity digits" in Page(answer.text).words
