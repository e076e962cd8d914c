"""`supernaut front` on a study of which several points were retrained: numbers side by side, and their agreement."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.front import Front, read_front
from runner.settings import Home
from runner.store import open_repository
from tests.runner.service.studies import create_study, finish_study, record_model

if TYPE_CHECKING:
    from tests.integration.conftest import Call


@pytest.fixture
def front(tmp_path: Path) -> Front:
    """One point of the front and one off it retrained beside the knee, whose row is exported too."""
    with open_repository(Home(tmp_path / "home").database) as repository:
        study = finish_study(repository, create_study(repository), evaluations=30)
        before = read_front(study, repository)
        other = next(point for point in before.points if point is not before.knee)
        record_model(repository, study, other.architecture, 0.5)
        record_model(repository, study, before.others[-1].architecture, 0.25)
        return read_front(study, repository)


def test_the_table_has_the_kinds_side_by_side_and_their_agreement(call: Call, front: Front) -> None:
    code, out, _ = call("front", "digits")
    assert code == 0
    header = out.splitlines()[0].split()
    places = [header.index(word) for word in ("error", "retrained", "exported", "latency_ms")]
    assert places == sorted(places)
    assert sum(line.lstrip().startswith("off the front") for line in out.splitlines()) == 1
    assert front.others[-1].architecture.digest in out
    assert "Kendall's tau-b" in out
    assert "No rank correlation of error (retrained and exported file), latency_ms (shared weights and" in out


def test_rows_hold_the_agreement_as_fields(call: Call, front: Front) -> None:
    rows = json.loads(call("front", "digits", "--output", "json")[1])
    assert len(rows) == len(front.points)
    assert {row["error_inherited_retrained_points"] for row in rows} == {3}
    (tau,) = {row["error_inherited_retrained_kendall"] for row in rows}
    assert -1 <= tau <= 1
    assert {row["latency_ms_inherited_exported_kendall"] for row in rows} == {None}
    assert sum(row["error_retrained"] is not None for row in rows) == 2
    every = list(csv.DictReader(io.StringIO(call("front", "digits", "--all", "-o", "csv")[1])))
    assert sum(row["error_retrained"] != "" for row in every) == 3
    assert {row["error_inherited_retrained_kendall"] for row in every} == {str(tau)}


def test_a_name_for_several_points_is_refused_where_one_is_meant(call: Call, front: Front) -> None:
    code, _, err = call("show", "digits", "ends")
    assert (code, "name one of them" in err, front.ends[0].architecture.digest in err) == (2, True, True)
    assert call("show", "digits", "knee")[0] == 0
