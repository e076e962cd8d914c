"""What the train section of a study stands for, and what is refused before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.errors import NotFound, SpecError
from runner.recipes import open_teacher, sampler_of
from runner.registered.values import Registered, RegisteredData
from runner.scoring import train_config
from runner.study import StudySpec, TrainSpec, parse_study
from runner.validation import plan, resolve
from supernet.training.sampling import EveryArchitecture, MultiArchitecture, Sandwich
from supernet.training.widening import Widening

STUDY: dict[str, Any] = {
    "name": "a",
    "task": {"name": "digits"},
    "space": {
        "name": "vision_transformer",
        "choices": {
            "depth": [1, 2],
            "width": [16],
            "patch": 4,
            "heads": [1],
            "mixer": ["softmax", "convolution"],
            "mlp_ratio": [1, 2],
            "bits": [32],
        },
    },
    "objectives": {"error": {}},
}
TINY_SPACE = {"space": {"name": "vision_transformer", "choices": {**STUDY["space"]["choices"], "depth": 1}}}


def spec(space: dict[str, Any] | None = None, **train: Any) -> StudySpec:
    return parse_study({**STUDY, **(space or {}), "train": train}, "test")


def test_the_defaults_are_a_sandwich() -> None:
    planned = resolve(spec())
    assert sampler_of(planned.spec.train, planned.space) == Sandwich(planned.space, 2)
    assert train_config(spec()) == train_config(
        spec(warmup=0.1, label_smoothing=0.0, accumulate=1, ema=None, recipe="sandwich", sampling={}, widen=[])
    )


def test_the_page_shows_every_field_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    assert yaml.safe_load(shown) == {"train": TrainSpec().model_dump()}


def test_each_field_becomes_what_it_says() -> None:
    config = train_config(spec(warmup=0.3, label_smoothing=0.1, accumulate=4, ema=0.99, weight_decay=0.0))
    assert (config.warmup, config.label_smoothing, config.accumulate, config.ema) == (0.3, 0.1, 4, 0.99)
    multi = resolve(spec(recipe="multi", random_subnets=4, sampling={"mixer": {"softmax": 2.0}}))
    sampler = sampler_of(multi.spec.train, multi.space)
    assert isinstance(sampler, MultiArchitecture)
    assert sampler.subnets == 4
    assert set(sampler.weights.by_name) == {"layers.0.mixer", "layers.1.mixer"}
    every = resolve(spec(TINY_SPACE, recipe="all"))
    assert sampler_of(every.spec.train, every.space) == EveryArchitecture(every.space)


def test_choices_open_at_even_steps_of_the_first_half() -> None:
    planned = resolve(spec(steps=100, widen=["mlp_ratio", "depth"]))
    sampler = sampler_of(planned.spec.train, planned.space)
    assert isinstance(sampler, Widening)
    assert [begin for begin, _ in sampler.stages] == [0, 25, 50]
    assert sampler.space_at(24).choices["layers.0.mlp_ratio"].values == (2,)
    assert sampler.space_at(25).choices["layers.0.mlp_ratio"].values == (1, 2)
    assert sampler.space_at(25).choices["depth"].values == (2,)
    assert sampler.space_at(50).size() == planned.space.size()


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"recipe": "multi", "distillation": "inplace"}, ["train.distillation", "same inputs", "leave it out"]),
        ({"recipe": "multi", "random_subnets": 0}, ["train.random_subnets", "1 to 128", "not 0"]),
        ({"recipe": "multi", "random_subnets": 9, "batch": 8}, ["train.random_subnets", "1 to 8", "not 9"]),
        ({"recipe": "all", "sampling": {"mixer": {"softmax": 2}}}, ["train.sampling", "leave it out"]),
        ({"random_subnets": 0, "sampling": {"mixer": {"softmax": 2}}}, ["train.sampling", "leave it out"]),
        ({"accumulate": 20, "batch": 10}, ["train.accumulate", "a batch of 10 has no 20 parts"]),
        ({"sampling": {"mixr": {"softmax": 2}}}, ["train.sampling", "did you mean 'mixer'"]),
        ({"sampling": {"mixer": {"sofmax": 2}}}, ["train.sampling", "'sofmax'", "softmax"]),
        ({"sampling": {"depth": {7: 2}}}, ["train.sampling", "'7'", "1, 2"]),
        ({"widen": ["dept"]}, ["train.widen", "did you mean 'depth'"]),
        ({"widen": ["mixer", "layers.0.mixer"]}, ["train.widen", "'layers.0.mixer' is opened twice"]),
        ({"teacher": "resnet"}, ["train.teacher", "no model is registered as 'resnet'", "supernaut data add"]),
    ],
)
def test_a_section_that_cannot_be_trained_is_refused_by_field(train: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        open_teacher(plan(spec(**train)))
    assert all(word in str(caught.value) for word in words), caught.value


def test_all_of_a_space_that_is_too_large_is_refused() -> None:
    wide = {"space": {"name": "vision_transformer"}}
    with pytest.raises(SpecError, match=r"train\.recipe: .*up to 64 of them; this space has .*Narrow it"):
        plan(spec(wide, recipe="all"))


def test_a_teacher_that_is_gone_or_no_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "teacher.onnx"
    registered = Registered(data=(RegisteredData(name="mine", path=str(file)),))
    planned = resolve(spec(teacher="mine"), registered)
    with pytest.raises(NotFound, match=r"train\.teacher: 'mine' is registered as .* where nothing is now"):
        open_teacher(planned)
    file.write_bytes(b"no model")
    with pytest.raises(SpecError, match=r"train\.teacher: .*cannot open"):
        open_teacher(planned)
    assert open_teacher(resolve(spec())) is None
