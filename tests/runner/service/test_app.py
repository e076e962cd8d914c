import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from runner.front import read_front
from runner.store import Repository
from tests.runner.service.pages import Page
from tests.runner.service.studies import (
    create_study,
    record_failure,
    record_fidelity,
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


def test_without_scripts_a_study_says_what_to_type_and_where_its_picture_is(
    client: TestClient, digits: Repository, database: Path
) -> None:
    study = digits.study("digits")
    page = Page(client.get("/studies/digits").text)
    assert f"supernaut --home {database.parent} front digits" in page.words
    assert ("data-study", study.id) in page.attributes
    assert f"/studies/{study.id}/front.svg" in page.links


def test_the_picture_of_a_comparison_keeps_the_policy_of_pictures(client: TestClient, digits: Repository) -> None:
    record_fidelity(digits, digits.study("digits"))
    answer = client.get("/studies/digits/fidelity.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ET.fromstring(answer.text).findtext("{http://www.w3.org/2000/svg}title") is not None


def test_a_specification_of_another_version_spoils_no_page(client: TestClient, digits: Repository) -> None:
    digits.create_study(name="from-elsewhere", spec='{"unheard": "of"}', spec_digest="d", seed=0)
    assert "from-elsewhere" in {study["name"] for study in client.get("/api/v1/studies").json()["items"]}
    assert client.get("/studies/from-elsewhere").status_code == 200
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


def test_health_and_static_files_are_answered(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    for name, kind in (("style.css", "text/css"), ("pages/study.js", "javascript"), ("icon.svg", "image/svg+xml")):
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
    picture = ET.fromstring(client.get("/studies/hostile/front.svg").text)
    assert not [each for each in picture.iter() if each.tag.endswith(("img", "script"))]


def test_the_rows_of_a_comparison_change_no_front(digits: Repository) -> None:
    study = digits.study("digits")
    front = read_front(study, digits)
    record_fidelity(digits, study)
    record_failure(digits, study, "loss is nan", fidelity="alone")
    assert read_front(study, digits) == front


def test_there_is_no_picture_of_what_was_not_compared(client: TestClient, digits: Repository) -> None:
    del digits
    answer = client.get("/studies/digits/fidelity.svg")
    assert answer.status_code == 404
    assert "supernaut fidelity digits" in Page(answer.text).words
