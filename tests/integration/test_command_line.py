"""The command line as its users meet it: answers, formats, wrong input, exit codes; never a traceback."""

from __future__ import annotations

import csv
import io
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main
from runner.settings import Home
from runner.store import open_repository
from tests.integration.studies import ROOT, TINY, UNTIMED, environment, supernaut, write

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Run a verb in this process."""

    def call(home: Path, *arguments: object) -> Answer:
        monkeypatch.setenv("SUPERNAUT_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["supernaut", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The finished study's state folder, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "home"))


def study_folder(home: Path, name: str = "tiny") -> Path:
    with open_repository(Home(home).database) as repository:
        return Home(home).study(repository.study(name).id)


def bundle(home: Path) -> Path:
    (folder,) = (study_folder(home) / "bundles").iterdir()
    return folder


# What a finished study says


def test_run_ends_with_the_front_the_bundle_and_the_next_commands(finished: Path) -> None:
    said = (finished.parent / "output").read_text()
    for words in ("knee", "error (fraction)", "latency_ms", "model_bytes", "inherited", "computed", "model.onnx"):
        assert words in said
    assert "predicted" not in said
    assert str(bundle(finished)) in said
    assert f"supernaut --home {finished} show tiny" in said


def test_running_a_finished_study_again_only_shows_it(call: Callable[..., Answer], finished: Path) -> None:
    answer = call(finished, "run", finished.parent / "tiny.json")
    assert answer.code == 0
    assert "complete already" in answer.out


def test_list_and_status(call: Callable[..., Answer], finished: Path) -> None:
    listed = json.loads(call(finished, "list", "--output", "json").out)
    assert [(row["name"], row["state"]) for row in listed] == [("tiny", "complete")]
    status = call(finished, "status", listed[0]["id"][:5])
    assert "complete" in status.out
    stages = json.loads(call(finished, "status", "tiny", "-o", "json").out)
    assert [stage["stage"] for stage in stages] == ["train", "profile", "search", "confirm", "retrain", "export"]
    assert {stage["state"] for stage in stages} == {"complete"}


def test_front_in_each_format(call: Callable[..., Answer], finished: Path, tmp_path: Path) -> None:
    rows = json.loads(call(finished, "front", "tiny", "--output", "json").out)
    assert rows
    assert sum(row["knee"] for row in rows) == 1
    assert {row["latency_ms_provenance"] for row in rows} == {"inherited"}
    assert {row["model_bytes_provenance"] for row in rows} == {"computed"}
    assert all(row["latency_ms_lower"] <= row["latency_ms"] <= row["latency_ms_upper"] for row in rows)
    every = list(csv.DictReader(io.StringIO(call(finished, "front", "tiny", "--all", "-o", "csv").out)))
    assert len(every) == TINY["search"]["evaluations"]
    assert [row["architecture"] for row in every[: len(rows)]] == [row["architecture"] for row in rows]
    picture = tmp_path / "front.svg"
    table = call(finished, "front", "tiny", "--picture", picture)
    assert f"{len(rows)} points on the front of {len(every)} evaluated" in table.out
    assert picture.read_text().startswith("<svg")


def test_show_draws_the_layers(call: Callable[..., Answer], finished: Path) -> None:
    answer = call(finished, "show", "tiny", "knee")
    assert "layer 0" in answer.out
    assert "exported" in answer.out
    shown = json.loads(call(finished, "show", "tiny", "knee", "-o", "json").out)
    assert shown["answers"]["patch"] == 4
    provenances = {number["provenance"] for number in shown["numbers"]}
    assert {"computed", "inherited", "retrained", "exported"} <= provenances


def test_verify_a_bundle(call: Callable[..., Answer], finished: Path) -> None:
    answer = call(finished, "verify", bundle(finished))
    assert answer.code == 0
    assert "promised" in answer.out
    assert answer.out.rstrip().endswith("verified")


def test_export_another_point(call: Callable[..., Answer], copy: Path, tmp_path: Path) -> None:
    rows = json.loads(call(copy, "front", "tiny", "-o", "json").out)
    other = next(row["architecture"] for row in rows if not row["knee"])
    answer = call(copy, "export", "tiny", other[:8], "--to", tmp_path / "mine")
    assert answer.code == 0, answer.err
    assert call(copy, "verify", tmp_path / "mine", "--no-latency").code == 0
    manifest = json.loads((tmp_path / "mine" / "manifest.json").read_text())
    assert manifest["architecture"]["digest"] == other
    assert call(copy, "retrain", "tiny", other).code == 0


def test_spaces_tasks_devices(call: Callable[..., Answer], finished: Path) -> None:
    assert "vision_transformer" in call(finished, "spaces").out
    assert "mlp_ratio" in call(finished, "spaces", "vision_transformer").out
    assert "digits" in call(finished, "tasks").out
    (device,) = json.loads(call(finished, "devices", "-o", "json").out)
    assert device["this machine"] == "yes"
    assert device["reference_ms"] > 0


def test_delete_asks_and_removes_everything(
    call: Callable[..., Answer], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study_folder(copy)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    kept = call(copy, "delete", "tiny")
    assert kept.code == 0
    assert "nothing was deleted" in kept.out
    assert folder.exists()
    assert call(copy, "delete", "tiny", "--yes").code == 0
    assert not folder.exists()
    assert call(copy, "status", "tiny").code == 3


def test_doctor(call: Callable[..., Answer], tmp_path: Path) -> None:
    findings = {row["check"]: row for row in json.loads(call(tmp_path / "home", "doctor", "-o", "json").out)}
    assert findings["packages"]["ok"] == findings["state folder"]["ok"] == findings["record"]["ok"] == "ok"
    assert "torch" in findings["packages"]["found"]
    assert "ms" in findings["timer"]["found"]


def test_export_into_a_relative_folder(
    call: Callable[..., Answer], copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(copy, "export", "tiny", "knee", "--to", "model")
    assert answer.code == 0, answer.err
    assert call(copy, "verify", "model", "--no-latency").code == 0


def test_exporting_again_keeps_the_recorded_numbers(call: Callable[..., Answer], copy: Path, tmp_path: Path) -> None:
    before = json.loads(call(copy, "show", "tiny", "knee", "-o", "json").out)
    assert call(copy, "export", "tiny", "knee", "--to", tmp_path / "again").code == 0
    assert json.loads(call(copy, "show", "tiny", "knee", "-o", "json").out) == before
    manifest = json.loads((tmp_path / "again" / "manifest.json").read_text())
    exported = {n["metric"]: n["value"] for n in before["numbers"] if n["provenance"] == "exported"}
    told = [n for n in manifest["numbers"] if n["provenance"] == "exported" and n["split"] == "test"]
    assert {f"test_{n['metric']}": n["value"] for n in told}.items() <= exported.items()
    assert "predicted" not in {n["provenance"] for n in manifest["numbers"]}


def test_a_reader_that_leaves_is_no_fault(finished: Path) -> None:
    for verb in ("front tiny --all --output json", "list"):
        piped = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {sys.executable} -m runner.cli.main --home {finished} {verb} | true"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert piped.returncode == 0, piped.stderr
        assert "fault" not in piped.stderr


def test_an_empty_home_says_how_to_begin(call: Callable[..., Answer], tmp_path: Path) -> None:
    assert "supernaut run" in call(tmp_path / "home", "list").out


def test_db_upgrade_of_a_new_record(call: Callable[..., Answer], finished: Path) -> None:
    answer = call(finished, "db", "upgrade")
    assert answer.code == 0
    assert "nothing to do" in answer.out


def test_help_takes_less_than_half_a_second_of_the_processor() -> None:
    """Of the processor, since others use it while tests run."""
    assert min(_processor_seconds_of_help() for _ in range(5)) < 0.5


def _processor_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli.main", "--help"], capture_output=True, check=True, cwd=ROOT
    )
    assert b"verify" in done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# Bad input

# Whose smallest and largest architectures are timed sooner than those of others.
ONE_LAYER = {
    "name": "vision_transformer",
    "choices": {"depth": 1, "width": [16, 32], "patch": 4, "mixer": "identity", "heads": 1, "mlp_ratio": 1, "bits": 32},
}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"space": {"name": "vision_transformer", "choices": {"dept": [2]}}}, 2, ["dept", "depth"]),
        ({"train": {"stepz": 2}}, 2, ["train.stepz", "steps"]),
        ({"objectives": {"error": {}, "model_bytes": {"at_most": 5}}}, 2, ["model_bytes", "reach from"]),
        (
            {"space": ONE_LAYER, "objectives": {"error": {}, "latency_ms": {"at_most": 1e-6}}},
            2,
            ["latency_ms", "smallest", "largest", "ms"],
        ),
        (
            {"space": ONE_LAYER, "objectives": {"error": {}, "latency_ms": {"at_least": 1e6}}},
            2,
            ["latency_ms", "smallest", "largest", "ms"],
        ),
        ({"objectives": {"error": {"at_most": -1}}}, 2, ["error", "between 0 and 1"]),
        (
            {"space": {"name": "vision_transformer", "choices": {"depth": None}}},
            2,
            ["space.choices.depth", "list of values"],
        ),
        ({"objectives": {"error": {"batch": 4}}}, 2, ["objectives.error", "latencies only"]),
    ],
)
def test_a_wrong_study_is_refused_before_anything_is_recorded(
    call: Callable[..., Answer], tmp_path: Path, changes: dict[str, Any], code: int, words: list[str]
) -> None:
    answer = call(tmp_path / "home", "run", write(tmp_path / "s.json", {**UNTIMED, **changes}))
    assert answer.code == code
    for word in words:
        assert word in answer.err
    assert call(tmp_path / "home", "list", "-o", "json").out.strip() == "[]"


def test_a_missing_file_and_a_missing_study(call: Callable[..., Answer], tmp_path: Path) -> None:
    assert call(tmp_path / "home", "run", tmp_path / "absent.yaml").code == 3
    answer = call(tmp_path / "home", "front", "nothing")
    assert answer.code == 3
    assert "nothing" in answer.err


def test_a_name_already_used_with_other_settings(call: Callable[..., Answer], finished: Path, tmp_path: Path) -> None:
    answer = call(finished, "run", write(tmp_path / "s.json", {**TINY, "seed": 7}))
    assert answer.code == 4
    assert "supernaut delete tiny" in answer.err


@pytest.mark.parametrize(
    "arguments", [["frnt", "tiny"], ["front"], ["front", "tiny", "--outptu", "json"], ["list", "-o", "xml"]]
)
def test_wrong_usage(call: Callable[..., Answer], tmp_path: Path, arguments: list[str]) -> None:
    assert call(tmp_path / "home", *arguments).code == 2


def test_an_unknown_architecture(call: Callable[..., Answer], finished: Path) -> None:
    answer = call(finished, "show", "tiny", "ffffffff")
    assert answer.code == 3
    assert "the front holds" in answer.err


def test_an_unwritable_state_folder(call: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = call(tmp_path / "file" / "home", "list")
    assert answer.code == 6
    assert "file" in answer.err


def test_a_record_that_a_newer_version_wrote(call: Callable[..., Answer], copy: Path) -> None:
    with sqlite3.connect(Home(copy).database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    answer = call(copy, "list")
    assert answer.code == 6
    assert "9999" in answer.err


def test_a_record_that_is_no_database(call: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "supernaut.db").write_text("this is no database " * 100)
    answer = call(tmp_path, "list")
    assert answer.code == 6
    assert "supernaut.db" in answer.err


def test_checkpoints_that_are_all_damaged(call: Callable[..., Answer], copy: Path) -> None:
    for path in (study_folder(copy) / "supernet").glob("step-*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    rows = json.loads(call(copy, "front", "tiny", "-o", "json").out)
    answer = call(copy, "export", "tiny", rows[0]["architecture"])
    assert answer.code == 6
    assert "damaged" in answer.err
    assert "supernaut delete tiny" in answer.err
    assert json.loads(call(copy, "front", "tiny", "-o", "json").out) == rows


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.safetensors", "sample_outputs.npy", "README.md", "manifest.json"]
)
def test_a_damaged_bundle(call: Callable[..., Answer], finished: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(bundle(finished), tmp_path / "bundle"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / name).write_bytes(content)
    answer = call(finished, "verify", folder, "--no-latency")
    assert answer.code == 6
    assert name in answer.err


def test_verify_something_else(call: Callable[..., Answer], tmp_path: Path) -> None:
    answer = call(tmp_path / "home", "verify", tmp_path)
    assert answer.code == 6
    assert "no bundle" in answer.err


def test_export_into_a_foreign_folder(call: Callable[..., Answer], copy: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("do not touch")
    answer = call(copy, "export", "tiny", "knee", "--to", mine)
    assert answer.code == 6
    assert "something else" in answer.err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_another_device_is_refused(call: Callable[..., Answer], copy: Path, tmp_path: Path) -> None:
    with sqlite3.connect(Home(copy).database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE device SET id = 'feedfacefeedface'")
        connection.execute("UPDATE study SET device_id = 'feedfacefeedface'")
    connection.close()
    answer = call(copy, "export", "tiny", "knee", "--to", tmp_path / "x")
    assert answer.code == 4
    assert "feedfacefeedface" in answer.err


def test_a_full_disk_ends_in_one_message_and_the_study_goes_on_afterwards(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes the larger writes of a child process fail, as a full disk would."""
    home = tmp_path / "home"
    # Its checkpoints are larger than anything that the record writes.
    wide = {**UNTIMED["space"], "choices": {**UNTIMED["space"]["choices"], "width": 192}}
    short = {"train": {**UNTIMED["train"], "steps": 6}, "retrain": {"steps": 4, "trials": 1}}
    file = write(tmp_path / "s.json", {**UNTIMED, **short, "space": wide})
    limited = subprocess.run(
        [
            "bash",
            "-c",
            f"trap '' XFSZ; ulimit -f 1500; exec {sys.executable} -m runner.cli.main --home {home} run {file}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(home),
        timeout=300,
        check=False,
    )
    assert limited.returncode == 6, limited.stderr
    assert "Traceback" not in limited.stderr
    assert "checkpoint" in limited.stderr
    done = supernaut(home, "run", str(file))
    assert done.returncode == 0, done.stderr
