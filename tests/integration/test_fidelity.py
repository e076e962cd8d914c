"""`supernaut fidelity` on a small study: what it trains, what it says, how it is cut off and goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.fidelity.report import EVENT
from runner.front import read_front
from runner.locking import exclusively
from runner.scoring import train_config
from runner.settings import Home
from runner.stages.train import FOLDER
from runner.store import open_repository
from runner.study import SpaceSpec, recorded_spec
from runner.validation import resolve
from search_spaces import Architecture
from supernet.skeleton import build_real
from supernet.training.retrain import retrain
from tests.integration.record import rows
from tests.integration.studies import ROOT, UNTIMED, environment, supernaut, write

if TYPE_CHECKING:
    from tests.integration.conftest import Call

pytestmark = pytest.mark.slow

STEPS = 24
ASKED = ("fidelity", "untimed", "--architectures", "4", "--steps", str(STEPS), "--output", "json")
SPEC = {
    **UNTIMED,
    "train": {"steps": 12, "batch": 64, "precision": "fp32", "label_smoothing": 0.1, "ema": 0.9},
    "search": {"evaluations": 8, "measured_latencies": 8, "workers": "serial"},
    "retrain": {"steps": 4, "trials": 1},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a complete study; tests copy it."""
    folder = tmp_path_factory.mktemp("trained")
    done = supernaut(folder / "home", "run", str(write(folder / "s.json", SPEC)))
    assert done.returncode == 0, done.stderr
    return folder / "home"


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A copy, where `call` looks for it."""
    return Path(shutil.copytree(trained, tmp_path / "home"))


def events(home: Path) -> list[dict[str, Any]]:
    with open_repository(Home(home).database) as repository:
        found = repository.events(repository.study("untimed").id)
    return [dict(event.payload) for event in found if event.kind == EVENT]


def test_each_is_trained_alone_with_the_recipe_of_the_study(call: Call, home: Path) -> None:
    with open_repository(Home(home).database) as repository:
        study = repository.study("untimed")
        front = read_front(study, repository)
    code, out, err = call(*ASKED)
    assert code == 0, err
    report = json.loads(out)
    assert (report["wanted"], report["done"], report["seeds"]) == (8, 8, [1, 2])
    assert report["ceiling"]["count"] == 4
    # By definition: fresh weights of the row's seed, the train section's settings, one network, labels alone.
    row = [row for row in rows(home, "untimed") if row.fidelity == f"alone-{STEPS}"][-1]
    plan = resolve(recorded_spec(study.spec, "untimed"))
    config = replace(train_config(plan.spec), steps=STEPS, seed=row.seed, health_every=STEPS)
    module = build_real(plan.build, Architecture.from_json(row.architecture_json), row.seed)
    expected = retrain(module, plan.task, config)[-1].values
    assert {value.metric: value.value for value in row.values} == expected
    assert config.ema == 0.9
    assert config.label_smoothing == 0.1
    with open_repository(Home(home).database) as repository:
        assert read_front(study, repository) == front
    # Once more: nothing to do, the same report, told once.
    before = rows(home, "untimed")
    assert json.loads(call(*ASKED)[1]) == report
    assert rows(home, "untimed") == before
    assert events(home) == [report]
    # The sample grows; what is there stays.
    more = json.loads(call(*ASKED[:2], "--architectures", "5", *ASKED[4:], "--repeated", "4")[1])
    assert (more["wanted"], more["done"]) == (9, 9)
    assert rows(home, "untimed")[: len(before)] == before
    assert {one["digest"] for one in report["architectures"]} < {one["digest"] for one in more["architectures"]}


def test_killed_and_continued_says_the_same(call: Call, home: Path, trained: Path, tmp_path: Path) -> None:
    # Among the trainings with the second seed.
    died = supernaut(home, *ASKED, SUPERNAUT_FAULT="record_evaluation.after_commit:10:kill")
    assert died.returncode == -signal.SIGKILL, died.stderr
    before = [row for row in rows(home, "untimed") if row.fidelity.startswith("alone")]
    assert len(before) == 6
    code, out, err = call(*ASKED)
    assert code == 0, err
    assert [row for row in rows(home, "untimed") if row.fidelity.startswith("alone")][: len(before)] == before
    whole = shutil.copytree(trained, tmp_path / "whole")
    assert json.loads(out) == json.loads(call("--home", whole, *ASKED)[1])


def test_a_signal_and_a_budget_stop_cleanly_and_the_next_call_goes_on(call: Call, home: Path) -> None:
    long = (*ASKED[:5], "4000", "--repeats", "1", *ASKED[6:])
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", *long],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoints = "studies/*/fidelity/alone-4000/seed-1/*/step-*.safetensors"
    while not list(home.glob(checkpoints)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped after 0 of 4 trainings" in err
    assert "Traceback" not in err
    code, out, err = call(*long, "--minutes", "0.02")
    assert code == 0, err
    report = json.loads(out)
    assert (report["done"], report["wanted"]) == (0, 4)
    assert report["comparisons"] == {}
    (folder,) = {path.parent for path in home.glob(checkpoints)}
    assert max(path.name for path in folder.iterdir()) > "step-00000000", "what was trained is lost"


def test_workers_train_what_this_process_trains(call: Call, home: Path, trained: Path, tmp_path: Path) -> None:
    asked = (*ASKED, "--repeats", "1")
    code, out, err = call(*asked, "--workers", "2")
    assert code == 0, err
    alone = shutil.copytree(trained, tmp_path / "alone")
    assert json.loads(out) == json.loads(call("--home", alone, *asked)[1])


def test_retrained_and_exported_are_compared_too(call: Call, home: Path, tmp_path: Path) -> None:
    few = ("fidelity", "untimed", "--architectures", "3")
    picture = tmp_path / "fidelity.svg"
    code, out, err = call(*few, "--steps", "4", "--exported", "--picture", picture)
    assert code == 0, err
    for words in ("retrained from shared weights", "the exported file", "parameters alone", "another training alone"):
        assert words in out
    assert picture.read_text().startswith("<svg")
    found = {(row.digest, row.fidelity): row.values for row in rows(home, "untimed")}
    for (digest, fidelity), values in found.items():
        if fidelity == "sampled-exported":
            exported = {value.metric: value.value for value in values}
            retrained = {value.metric: value.value for value in found[digest, "sampled-retrained"]}
            assert exported["loss"] == pytest.approx(retrained["loss"], rel=0.05)  # rounded weights and activations
            assert {value.provenance for value in values} == {"exported"}
    csv = call(*few, "--steps", "4", "--exported", "--output", "csv")[1]
    assert csv.splitlines()[0].endswith("error_retrained,error_exported,error_alone_1,error_alone_2")
    # The stages of the study know nothing of it: what is retrained for a point is retrained by its own trials.
    assert sum(row.fidelity == "retrained" for row in rows(home, "untimed")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nobody",), 3, "nobody"),
        (("untimed", "--architectures", "2"), 2, "--architectures 2: give a whole number from 3"),
        (("untimed", "--metric", "beauty"), 2, "--metric beauty: the task 'digits' scores error, accuracy, loss"),
        (("untimed", "--workers", "many"), 2, "--workers many: give auto, serial or a whole number"),
        (("untimed", "--minutes", "0"), 2, "--minutes 0"),
    ],
)
def test_what_is_wrong_is_said(call: Call, home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    del home
    answer = call("fidelity", *arguments)
    assert answer[0] == code
    assert said in answer[2]


def test_a_study_must_be_trained_and_nobody_else_may_run_it(call: Call, home: Path) -> None:
    folder = Home(home)
    with open_repository(folder.database) as repository:
        study = repository.study("untimed")
        new = repository.create_study(
            name="new", spec=study.spec, spec_digest="0", seed=0, device_id=None, stages=["train", "search"]
        )
    code, _, err = call("fidelity", new.name)
    assert code == 4
    assert "its stage train is pending" in err
    with exclusively(folder.study(study.id), "untimed"):
        code, _, err = call(*ASKED)
    assert code == 4
    assert "is being run by process" in err
    shutil.rmtree(folder.study(study.id) / FOLDER)
    code, _, err = call(*ASKED)
    assert code == 6
    assert "the trained weights" in err


def also_trained(home: Path, **changes: Any) -> str:
    """The name of another study whose training is complete, with these changes to its specification."""
    with open_repository(Home(home).database) as repository:
        spec = recorded_spec(repository.study("untimed").spec, "untimed").model_copy(update=changes)
        study = repository.create_study(
            name="other", spec=spec.model_dump_json(), spec_digest="1", seed=0, device_id=None, stages=["train"]
        )
        repository.transition_study(study.id, "created", "running")
        repository.transition_stage(study.id, "train", "pending", "running")
        repository.transition_stage(study.id, "train", "running", "complete")
    return "other"


def test_data_that_changed_is_refused(call: Call, home: Path) -> None:
    other = also_trained(home)
    with open_repository(Home(home).database) as repository:  # as if it had begun with other data
        data = {"sha256": "0" * 64, "samples": {"train": 1, "validation": 1, "test": 1}, "classes": 10}
        repository.add_event(repository.study(other).id, "task.checksum", data)
    code, _, err = call("fidelity", other)
    assert code == 4
    assert "is not what it was when the study began" in err


def test_an_extension_that_is_gone_is_named(call: Call, home: Path) -> None:
    code, _, err = call("fidelity", also_trained(home, space=SpaceSpec(name="my_family")))
    assert code == 2
    assert "my_family" in err
    assert "supernaut extension allow" in err


def test_two_architectures_have_no_ranking(call: Call, home: Path) -> None:
    fixed = {"depth": [1, 2], "width": 16, "patch": 4, "mixer": "identity", "mlp_ratio": 1, "bits": 32, "heads": 1}
    code, _, err = call("fidelity", also_trained(home, space=SpaceSpec(name="vision_transformer", choices=fixed)))
    assert code == 2
    assert "holds 2 architectures, and a ranking needs at least 3" in err
