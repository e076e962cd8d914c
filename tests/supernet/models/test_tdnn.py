"""The time-delay network: names, shapes, slices, and what each choice changes."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from predictors.costs import cost
from search_spaces import Architecture, load_space
from supernet.errors import IncompatibleTask
from supernet.models.registry import load_builder
from supernet.models.tdnn import COSINE_SCALE, TDNN, TDNNConfig, builder
from supernet.shared_weights import SharedWeights
from supernet.tasks.task import predict
from supernet.training.recalibration import keeps_statistics, recalibrate
from tests.supernet.models.examples import images, recordings
from tests.supernet.toys import inputs, randomise

FEATURES, FRAMES = 5, 17
CONFIG = TDNNConfig(features=FEATURES, classes=3)
SPACE = load_space("tdnn", depth=(1, 2, 5), width=(3, 4, 6), pooled=(4, 7), embedding=(3, 5))


def model(architecture: Architecture) -> TDNN:
    module = builder(CONFIG)(architecture)
    assert isinstance(module, TDNN)
    return module


def randomised(architecture: Architecture) -> TDNN:
    """Parameters and running statistics drawn anew, in double precision and evaluation mode."""
    module = model(architecture).double().eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return module


def step_by_step(module: TDNN, x_BCF: Tensor) -> Tensor:
    """The same network for one recording after the other, frame by frame and tap by tap."""
    rows = []
    for x in x_BCF:
        outputs = []
        for block in module.layers:
            kernel, dilation = block.convolution.weight, block.convolution.dilation[0]
            reach = kernel.shape[2] // 2
            frames = []
            for t in range(x.shape[1]):
                out = torch.zeros(kernel.shape[0], dtype=x.dtype)
                for tap in range(-reach, reach + 1):
                    if 0 <= t + tap * dilation < x.shape[1]:
                        out = out + kernel[:, :, tap + reach] @ x[:, t + tap * dilation]
                frames.append(out)
            x = normalised(block.norm, torch.stack(frames, 1)).clamp(min=0)
            outputs.append(x)
        chosen = [int(number) for number in module.aggregation.maps]
        joined = torch.cat([outputs[number] for number in chosen])  # as the papers write it: one map of all features
        mapping = torch.cat([module.aggregation.maps[str(number)].weight[:, :, 0] for number in chosen], 1)
        pooled = normalised(module.aggregation.norm, mapping @ joined).clamp(min=0)
        spread = (pooled.var(1, unbiased=False) + 1e-5).sqrt()
        embedding = module.project.weight @ torch.cat([pooled.mean(1), spread]) + module.project.bias
        cosines = [embedding @ p / (embedding.norm() * p.norm()) for p in module.prototypes]
        rows.append(COSINE_SCALE * torch.stack(cosines))
    return torch.stack(rows)


def normalised(norm: torch.nn.BatchNorm1d, x: Tensor) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    scaled = (x - mean[:, None]) / (variance[:, None] + norm.eps).sqrt()
    return scaled * norm.weight[:, None] + norm.bias[:, None]


@pytest.mark.parametrize("seed", range(8))
def test_it_computes_what_its_parts_say(seed: int) -> None:
    module = randomised(SPACE.sample_balanced(random.Random(seed)))
    x = inputs(2, FEATURES, FRAMES).double()
    torch.testing.assert_close(module(x), step_by_step(module, x), rtol=1e-9, atol=1e-9)


def test_dilations_grow_to_four() -> None:
    layers = model(SPACE.largest()).layers
    assert [layer.convolution.dilation for layer in layers] == [(1,), (2,), (3,), (4,), (4,)]


def test_a_logit_is_the_scaled_cosine_between_an_embedding_of_length_one_and_a_prototype() -> None:
    module = randomised(SPACE.largest())
    x = inputs(4, FEATURES, FRAMES).double()
    embedding = module.embed(x)
    assert embedding.shape == (4, 5)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4).double())
    cosine = torch.nn.functional.cosine_similarity(embedding[:, None], module.prototypes[None], dim=-1)
    torch.testing.assert_close(module(x), COSINE_SCALE * cosine)


def test_silence_has_finite_gradients() -> None:
    module = model(SPACE.largest()).train()
    module(torch.zeros(2, FEATURES, FRAMES)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize("seed", range(10))
def test_its_multiply_adds_in_closed_form(seed: int) -> None:
    a = SPACE.sample_balanced(random.Random(seed))
    depth, pooled, embedding = int(a["depth"]), int(a["pooled"]), int(a["embedding"])
    widths = [int(a[f"layers.{i}.width"]) for i in range(depth)]
    kernels = [int(a[f"layers.{i}.kernel"]) for i in range(depth)]
    blocks = sum(math.prod(one) for one in zip([FEATURES, *widths[:-1]], widths, kernels, strict=True))
    aggregated = widths if a["aggregation"] == "all" else widths[-1:]
    expected = FRAMES * (blocks + pooled * sum(aggregated)) + embedding * (2 * pooled + CONFIG.classes)
    assert cost(model(a), inputs(1, FEATURES, FRAMES)).macs == expected


def test_every_answer_changes_the_shapes_or_the_function() -> None:
    base = SPACE.fix({"depth": 2, "layers.*.kernel": 3, "aggregation": "all"}).largest()
    x = inputs(2, FEATURES, FRAMES).double()

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = randomised(architecture)
        shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
        return shapes, tuple(module(x).flatten().tolist())

    neighbours = list(SPACE.neighbours(base))
    assert len({signature(one) for one in (base, *neighbours)}) == 1 + len(neighbours)


class TestSharing:
    def test_a_smaller_kernel_is_the_middle_of_a_larger_one(self) -> None:
        weights = randomise(SharedWeights(builder(CONFIG), SPACE))
        small = weights.extract(SPACE.fix({"layers.0.kernel": 3, "layers.0.width": 4, "depth": 1}).largest())
        shared = weights.get_parameter("layers.0.convolution.weight")
        assert torch.equal(small.get_parameter("layers.0.convolution.weight"), shared[:4, :, 1:4])

    def test_narrower_statistics_are_the_leading_part_of_each(self) -> None:
        weights = randomise(SharedWeights(builder(CONFIG), SPACE))
        narrow = weights.extract(SPACE.fix({"pooled": 4, "embedding": 3}).largest())
        shared = weights.get_parameter("project.weight")
        assert torch.equal(narrow.get_parameter("project.weight"), shared[:3, [0, 1, 2, 3, 7, 8, 9, 10]])

    def test_a_block_keeps_its_own_map_whatever_is_aggregated(self) -> None:
        names = {
            (depth, aggregation): {
                name
                for name, _ in model(
                    SPACE.fix({"depth": depth, "aggregation": aggregation}).largest()
                ).named_parameters()
                if "maps" in name
            }
            for depth in (1, 2)
            for aggregation in ("last", "all")
        }
        first, second = "aggregation.maps.0.weight", "aggregation.maps.1.weight"
        assert names == {(1, "last"): {first}, (1, "all"): {first}, (2, "last"): {second}, (2, "all"): {first, second}}


def test_its_statistics_are_recalibrated() -> None:
    task = recordings()
    module = load_builder("tdnn", task)(load_space("tdnn").largest())
    assert keeps_statistics(module)
    before = predict(module, task.validation)
    recalibrate(module, [task.example(8)])
    assert not torch.allclose(predict(module, task.validation), before)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"aggregation": "some"}, "unknown aggregation 'some'; known: last, all"),
        ({"layers.0.kernel": 4}, "a kernel of 4 frames has no middle; choose an odd one"),
    ],
)
def test_unknown_answers_are_refused(answers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(SPACE.largest().with_answers(answers))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (images(), r"'random image' has inputs of the kind 'image' and of shape \(1, 8, 8\)"),
        (replace(recordings(), per_position=True), "a target for each position"),
    ],
)
def test_other_tasks_are_refused(task, message: str) -> None:
    with pytest.raises(IncompatibleTask, match=f"tdnn classifies recordings.*{message}"):
        load_builder("tdnn", task)
