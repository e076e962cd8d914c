"""One trial of a chosen point, trained from nothing but its description."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.errors import Conflict
from runner.parallel.trials import TrialSettings, stopping_rule
from runner.registered.values import Registered, RegisteredData
from runner.scoring import train_config
from runner.stages import retrain_trial
from runner.stages.retrain_trial import REPORTS, RetrainJob, retrain_config
from runner.study import StudySpec, parse_study
from runner.validation import resolve
from search_spaces import Architecture
from supernet.compression import QuantizedLinear, suspended
from supernet.compression.quantize import encode4
from supernet.errors import CheckpointError
from supernet.shared_weights import SharedWeights
from supernet.skeleton import build_real
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import LoopConfig
from supernet.training.retrain import retrain
from supernet.training.snapshot import restore
from supernet.training.supernet import extract_recalibrated
from tests.integration.studies import TINY
from tests.runner.stages.test_train import write as linear_teacher

SETTINGS = TrialSettings(index=1, learning_rate=5e-3, weight_decay=0.2)


@dataclass
class Heard:
    """A trial that notes what is told, and asks to stop after so many questions."""

    folder: Path
    settings: TrialSettings = SETTINGS
    stop_after: int = 10**9
    reports: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    questions: int = 0

    def report(self, step: int, values: Mapping[str, float]) -> None:
        self.reports.append((step, values))

    def stop(self) -> bool:
        self.questions += 1
        return self.questions > self.stop_after


@pytest.fixture(scope="module")
def spec() -> StudySpec:
    return parse_study({**TINY, "retrain": {"steps": 24, "batch": 64}, "train": {"steps": 3, "batch": 32}}, "test")


@pytest.fixture(scope="module")
def weights(spec: StudySpec) -> SharedWeights:
    """Shared weights that no initialisation gives."""
    planned = resolve(spec)
    weights = SharedWeights(planned.build, planned.space, seed=spec.seed)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return weights


@pytest.fixture(scope="module")
def supernet(spec: StudySpec, weights: SharedWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training."""
    folder = tmp_path_factory.mktemp("supernet")
    Checkpoints(folder).save(spec.train.steps, model(weights), {})
    return folder


@pytest.fixture(scope="module")
def job(spec: StudySpec, supernet: Path) -> RetrainJob:
    architecture = resolve(spec).space.smallest()
    return RetrainJob(spec=spec.model_dump_json(), architecture=architecture.to_json(), supernet=supernet)


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    """A worker process begins with nothing."""
    retrain_trial._trained.cache_clear()


def model(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"model.{name}": tensor for name, tensor in module.state_dict().items()}


def final(folder: Path) -> Mapping[str, torch.Tensor]:
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert checkpoint.step == 24
    return checkpoint.tensors


def test_a_trial_is_the_plain_retraining_with_its_settings(
    tmp_path: Path, spec: StudySpec, weights: SharedWeights, job: RetrainJob
) -> None:
    trial = Heard(tmp_path / "trial-1")
    pickle.loads(pickle.dumps(job))(trial)

    planned = resolve(spec)
    module = weights.extract(Architecture.from_json(job.architecture))
    config = LoopConfig(steps=24, batch=64, learning_rate=5e-3, weight_decay=0.2, seed=spec.seed, health_every=2)
    curve = retrain(module, planned.task, config, teacher=weights.extract(planned.space.largest()))
    assert trial.reports == [(point.step, point.values) for point in curve]
    trained = final(trial.folder)
    assert all(torch.equal(trained[name], tensor) for name, tensor in model(module).items())


def test_it_stops_at_a_checkpoint_and_goes_on_bit_by_bit(tmp_path: Path, job: RetrainJob) -> None:
    whole, parts = Heard(tmp_path / "whole"), [Heard(tmp_path / "parts", stop_after=7), Heard(tmp_path / "parts")]
    job(whole)
    job(parts[0])
    stopped = Checkpoints(tmp_path / "parts").latest()
    assert stopped is not None
    assert stopped.step == 7
    job(parts[1])
    assert parts[0].reports + parts[1].reports == whole.reports
    expected = final(whole.folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in final(parts[1].folder).items())


def test_the_shared_weights_are_read_once_a_process(
    tmp_path: Path, job: RetrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(Heard(tmp_path / "one", stop_after=0))
    monkeypatch.setattr(retrain_trial, "resolve", lambda _: pytest.fail("read again"))
    job(Heard(tmp_path / "two", stop_after=0))


def test_the_number_of_threads_is_left_as_it_was(tmp_path: Path, job: RetrainJob) -> None:
    seen: list[int] = []

    class Looking(Heard):
        def stop(self) -> bool:
            seen.append(torch.get_num_threads())
            return True

    before = torch.get_num_threads()
    dataclasses.replace(job, threads=2)(Looking(tmp_path))
    assert seen == [2]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("steps", [24, 601, 10_000])
def test_trials_report_where_they_are_compared(spec: StudySpec, job: RetrainJob, steps: int) -> None:
    longer = spec.model_copy(update={"retrain": spec.retrain.model_copy(update={"steps": steps})})
    every = retrain_config(longer, SETTINGS, job.precision).health_every
    for rung in stopping_rule(steps).rungs:
        assert -rung % every < REPORTS  # steps until the next report


@pytest.mark.parametrize(("step", "found"), [(None, "nothing is"), (2, "only step 2 is")])
def test_shared_weights_that_are_not_there_are_named(
    tmp_path: Path, weights: SharedWeights, job: RetrainJob, step: int | None, found: str
) -> None:
    if step is not None:
        Checkpoints(tmp_path / "supernet").save(step, model(weights), {})
    elsewhere = dataclasses.replace(job, supernet=tmp_path / "supernet")
    with pytest.raises(CheckpointError, match=rf"after step 3 are not in .* \({found}\)"):
        elsewhere(Heard(tmp_path / "trial"))


def test_the_job_is_small_and_plain(job: RetrainJob) -> None:
    """It is sent to every worker."""
    content: dict[str, Any] = json.loads(job.spec)
    assert content["name"] == "tiny"
    assert len(pickle.dumps(job)) < 10_000


def test_student_and_teacher_begin_with_running_statistics_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared weights keep none: a teacher without would teach what it never learnt."""
    choices = {"stages": 1, "depth": [1], "width": [4, 8], "kernel": [3], "expansion": [2], "attention": ["none"]}
    space = {"name": "convnet", "choices": choices}
    spec = parse_study({**TINY, "space": space, "train": {"steps": 3, "batch": 32}}, "test")
    planned = resolve(spec)
    weights = planned.shared_weights()
    Checkpoints(tmp_path / "supernet").save(3, model(weights), {})
    seen: list[torch.nn.Module] = []
    monkeypatch.setattr(retrain_trial, "retrain", lambda student, *_, teacher, **__: seen.extend((student, teacher)))
    smallest, largest = planned.space.smallest(), planned.space.largest()
    RetrainJob(spec=spec.model_dump_json(), architecture=smallest.to_json(), supernet=tmp_path / "supernet")(
        Heard(tmp_path / "trial")
    )
    for module, architecture in zip(seen, (smallest, largest), strict=True):
        expected = extract_recalibrated(weights, architecture, planned.task, train_config(spec))
        found = module.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.state_dict().items())
        assert any("running_mean" in name and bool(tensor.any()) for name, tensor in found.items())


# What a point begins with and who teaches it


def started(
    spec: StudySpec, supernet: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, **job: Any
) -> tuple[torch.nn.Module, Any]:
    """The student and the teacher with which a trial begins."""
    seen: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(retrain_trial, "retrain", lambda student, *_, teacher, **__: seen.extend((student, teacher)))
        architecture = resolve(spec).space.smallest()
        RetrainJob(spec=spec.model_dump_json(), architecture=architecture.to_json(), supernet=supernet, **job)(
            Heard(folder)
        )
    student, teacher = seen
    return student, teacher


def changed(spec: StudySpec, **section: Any) -> StudySpec:
    return parse_study({**spec.model_dump(mode="json"), "retrain": {**spec.retrain.model_dump(), **section}}, "test")


def test_from_scratch_a_point_begins_with_the_initial_values_of_its_own_network(
    tmp_path: Path, spec: StudySpec, supernet: Path, weights: SharedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = weights.space.smallest()
    inherited, _ = started(spec, supernet, tmp_path, monkeypatch)
    scratch, _ = started(changed(spec, start="scratch"), supernet, tmp_path, monkeypatch)
    fresh = build_real(resolve(spec).build, architecture, spec.seed)
    shared = weights.extract(architecture)
    names = [name for name, tensor in fresh.state_dict().items() if tensor.is_floating_point() and tensor.std() > 0]
    assert names
    for name in names:
        assert torch.equal(scratch.state_dict()[name], fresh.state_dict()[name])
        assert torch.equal(inherited.state_dict()[name], shared.state_dict()[name])
        assert not torch.equal(scratch.state_dict()[name], inherited.state_dict()[name])


def test_from_scratch_running_statistics_are_those_of_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = {"stages": 1, "depth": [1], "width": [4, 8], "kernel": [3], "expansion": [2], "attention": ["none"]}
    data = {**TINY, "space": {"name": "convnet", "choices": choices}, "train": {"steps": 3, "batch": 32}}
    spec = parse_study({**data, "retrain": {"start": "scratch", "teacher": "none"}}, "test")
    Checkpoints(tmp_path / "supernet").save(3, model(resolve(spec).shared_weights()), {})
    student, _ = started(spec, tmp_path / "supernet", tmp_path, monkeypatch)
    means = [tensor for name, tensor in student.state_dict().items() if "running_mean" in name]
    assert means
    assert all(bool(mean.any()) for mean in means)


def test_nobody_teaches_where_that_is_asked_for(
    tmp_path: Path, spec: StudySpec, supernet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started(changed(spec, teacher="none"), supernet, tmp_path, monkeypatch)[1] is None


def test_a_registered_model_teaches_if_it_is_the_one_of_the_study(
    tmp_path: Path, spec: StudySpec, supernet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = linear_teacher(tmp_path / "teacher.onnx")
    registered = Registered(data=(RegisteredData(name="mine", path=str(file)),))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    asked = changed(spec, teacher="mine")
    _, teacher = started(asked, supernet, tmp_path, monkeypatch, registered=registered, teacher_sha256=sha256)
    assert (teacher.path, teacher.sha256) == (file, sha256)
    linear_teacher(file, seed=1)
    with pytest.raises(Conflict, match=rf"with which this retraining began \(SHA-256 \w+, not {sha256[:16]}\)"):
        started(asked, supernet, tmp_path, monkeypatch, registered=registered, teacher_sha256=sha256)


def test_the_section_s_settings_reach_the_training(spec: StudySpec) -> None:
    usual = retrain_config(spec, SETTINGS, "fp32")
    assert (usual.warmup, usual.label_smoothing, usual.ema) == (0.1, 0.0, None)
    config = retrain_config(changed(spec, warmup=0.3, label_smoothing=0.1, ema=0.99), SETTINGS, "bf16")
    assert (config.warmup, config.label_smoothing, config.ema) == (0.3, 0.1, 0.99)
    assert (config.learning_rate, config.weight_decay, config.precision) == (5e-3, 0.2, "bf16")


def test_a_point_of_4_bits_is_trained_in_its_rounding(
    tmp_path: Path, spec: StudySpec, supernet: Path, weights: SharedWeights
) -> None:
    """What is reported is what plain linear maps with the rounded weights score; training has lowered their loss."""
    planned = resolve(spec)
    architecture = planned.space.narrow({"*.bits": (4,)}).largest()
    trial = Heard(tmp_path / "trial")
    RetrainJob(spec=spec.model_dump_json(), architecture=architecture.to_json(), supernet=supernet)(trial)

    def rounded(module: torch.nn.Module) -> dict[str, float]:
        quantized = [part for part in module.modules() if isinstance(part, QuantizedLinear)]
        assert quantized
        assert {part.bits for part in quantized} == {4}
        with torch.no_grad():
            for part in quantized:
                codes, scale = encode4(part.weight)
                part.weight.copy_((codes * scale).flatten(1)[:, : part.in_features])
        with suspended(module):
            return planned.task.score(module, planned.task.validation)

    module = planned.build(architecture)
    checkpoint = Checkpoints(trial.folder).latest()
    assert checkpoint is not None
    restore(module, checkpoint.tensors, "test")
    step, reported = trial.reports[-1]
    assert step == 24
    assert rounded(module) == pytest.approx(dict(reported), rel=1e-4)
    assert reported["loss"] < 0.9 * rounded(weights.extract(architecture))["loss"]
