"""The plain vision transformer: names, shapes and what each choice changes."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
import torch

from search_spaces import Architecture, load_space
from supernet import load_task
from supernet.compression import compressed
from supernet.errors import IncompatibleTask, UnknownName
from supernet.models.registry import load_builder
from supernet.models.vision_transformer import VisionTransformer, VisionTransformerConfig, builder
from supernet.tasks.task import Split
from tests.supernet.models.slow_vision_transformer import step_by_step
from tests.supernet.toys import inputs

SPACE = load_space("vision_transformer")
CONFIG = VisionTransformerConfig(image_size=8, channels=1, classes=10)


def model(architecture: Architecture) -> VisionTransformer:
    module = builder(CONFIG)(architecture)
    assert isinstance(module, VisionTransformer)
    return module


@pytest.mark.parametrize("seed", range(12))
def test_it_computes_what_its_parts_say(seed: int) -> None:
    architecture = SPACE.sample(random.Random(seed))
    module = model(architecture).double()
    images = inputs(3, 1, 8, 8).double()
    torch.testing.assert_close(module(images), step_by_step(module, architecture, images), rtol=1e-9, atol=1e-9)


def test_the_sample_covers_every_mixer_and_patch() -> None:
    drawn = [SPACE.sample(random.Random(seed)) for seed in range(12)]
    mixers = {answer for a in drawn for name, answer in a.items() if name.endswith("mixer")}
    assert mixers == {"identity", "convolution", "windowed", "softmax"}
    assert {a["patch"] for a in drawn} == {2, 4}


def test_every_answer_changes_the_shapes_or_the_function() -> None:
    images = inputs(2, 1, 8, 8)
    base = SPACE.canonical(
        {**SPACE.largest(), "layers.0.mixer": "windowed", "layers.0.window": 2, "layers.1.mixer": "softmax"}
    )

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = compressed(model)(architecture)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
            shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
            return shapes, tuple(module(images).flatten().tolist())

    seen = {signature(base)}
    neighbours = list(SPACE.neighbours(base))
    for neighbour in neighbours:
        seen.add(signature(neighbour))
    assert len(seen) == 1 + len(neighbours)


def test_alternatives_that_share_weights_share_names_and_others_do_not() -> None:
    names = {}
    for mixer in ("identity", "convolution", "windowed", "softmax"):
        answers = {**SPACE.largest(), "layers.0.mixer": mixer, "layers.0.window": 2, "layers.0.heads": 2}
        parameters = model(SPACE.canonical(answers)).state_dict()
        names[mixer] = {name for name in parameters if name.startswith("layers.0.")}
    assert names["windowed"] == names["softmax"]
    assert names["softmax"] & names["convolution"] == names["identity"]
    patches = [model(SPACE.fix({"patch": p}).largest()).state_dict().keys() for p in (2, 4)]
    assert all("patch" in name for name in patches[0] ^ patches[1])
    assert patches[0] != patches[1]


def test_an_architecture_of_an_earlier_study_is_the_same_network() -> None:
    written = (
        '{"depth":4,"layers.0.bits":8,"layers.0.heads":2,"layers.0.mixer":"windowed","layers.0.mlp_ratio":1,'
        '"layers.0.window":2,"layers.1.bits":32,"layers.1.mixer":"identity","layers.1.mlp_ratio":2,'
        '"layers.2.bits":32,"layers.2.heads":4,"layers.2.mixer":"windowed","layers.2.mlp_ratio":4,'
        '"layers.2.window":2,"layers.3.bits":32,"layers.3.heads":1,"layers.3.mixer":"windowed",'
        '"layers.3.mlp_ratio":2,"layers.3.window":2,"patch":2,"width":32}'
    )
    architecture = Architecture.from_json(written)
    SPACE.check(architecture)
    assert architecture.digest == "1f1d0f77b775"
    module = model(architecture)
    listed = "\n".join(f"{name} {tuple(parameter.shape)}" for name, parameter in module.named_parameters())
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == "19d49cd97619a8b2"
    assert sum(parameter.numel() for parameter in module.parameters()) == 35130


def test_depth_counts_the_layers() -> None:
    assert [len(model(SPACE.fix({"depth": d}).largest()).layers) for d in (2, 3, 4)] == [2, 3, 4]


def test_a_patch_that_does_not_divide_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="patch of 4 pixels does not divide an image of 10"):
        builder(replace(CONFIG, image_size=10))(SPACE.fix({"patch": 4}).largest())


def test_an_unknown_mixer_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown token mixer 'fourier'; known: identity"):
        builder(CONFIG)(SPACE.largest().with_answers({"layers.0.mixer": "fourier"}))


class TestRegistry:
    def test_an_unknown_family_lists_those_that_exist(self) -> None:
        with pytest.raises(UnknownName, match=r"no model family 'resnet'.*vision_transformer"):
            load_builder("resnet", load_task("digits"))

    def test_images_that_are_not_square_are_refused(self) -> None:
        task = load_task("digits")
        wide = replace(task, train=Split(torch.zeros(1, 1, 8, 6), torch.zeros(1)))
        with pytest.raises(IncompatibleTask, match=r"square images.* shape \(1, 8, 6\)"):
            load_builder("vision_transformer", wide)
