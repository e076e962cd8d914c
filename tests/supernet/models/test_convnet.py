"""The convolutional network: names, shapes, what each choice changes and what the whole computes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from predictors.costs import cost
from search_spaces import Architecture, load_space
from search_spaces.library.convnet import ATTENTION
from supernet.channel_attention import reference
from supernet.errors import IncompatibleTask
from supernet.models.convnet import STEM_WIDTH, ConvNet, ConvNetConfig, InvertedResidual, builder
from supernet.models.registry import load_builder
from supernet.shared_weights import SharedWeights
from supernet.tasks.task import Split
from tests.supernet.models.examples import images, recordings, sentences
from tests.supernet.toys import inputs, randomise

SPACE = load_space("convnet")
CONFIG = ConvNetConfig(height=8, width=6, channels=2, classes=3)
BLOCK = "stages.1.blocks.1"  # has a shortcut
SLOW = {"se": reference.squeeze_excite, "eca": reference.efficient_channel_attention}


def drawn(count: int = 6) -> list[Architecture]:
    rng = random.Random(3)
    return [SPACE.smallest(), SPACE.largest(), *(SPACE.sample_balanced(rng) for _ in range(count))]


def model(architecture: Architecture, config: ConvNetConfig = CONFIG) -> ConvNet:
    """With every parameter and every running statistic drawn at random."""
    module = builder(config)(architecture)
    assert isinstance(module, ConvNet)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.6 + 0.2)
        for parameter in module.parameters():
            parameter.sub_(0.5)
    return module.eval()


def normalised(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """By the batch's own statistics in training, by the running ones otherwise."""
    mean, variance = norm.running_mean, norm.running_var
    if norm.training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    assert mean is not None
    assert variance is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    return (x - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def pointwise(weight: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], x)


def tap_by_tap(weight: Tensor, x: Tensor, stride: int) -> Tensor:
    """A convolution of each output channel: weights (out, in, k, k), in = 1 for one kernel a channel."""
    side, (height, width) = weight.shape[-1], x.shape[-2:]
    padded = nn.functional.pad(x, (side // 2,) * 4)
    total: Tensor | int = 0
    for i in range(side):
        for j in range(side):
            seen = padded[:, :, i : i + height : stride, j : j + width : stride]
            tap = weight[:, :, i, j]
            depthwise = tap.shape[1] == 1 and tap.shape[0] == x.shape[1]
            total = total + (seen * tap.T[:, :, None, None] if depthwise else torch.einsum("oi,bihw->bohw", tap, seen))
    assert isinstance(total, Tensor)
    return total


def step_by_step(module: ConvNet, image: Tensor) -> Tensor:
    """The same network written out, with the slow attention blocks."""
    x = normalised(module.stem.norm, tap_by_tap(module.stem.convolution.weight, image, 1)).clamp(0, 6)
    for stage in module.stages:
        for index, block in enumerate(stage.blocks):
            hidden = normalised(block.expand.norm, pointwise(block.expand.convolution.weight, x)).clamp(0, 6)
            convolved = tap_by_tap(block.depthwise.convolution.weight, hidden, 1 if index else 2)
            hidden = normalised(block.depthwise.norm, convolved).clamp(0, 6)
            for kind, attention in block.attention.items():
                hidden = SLOW[kind](attention, hidden)
            out = normalised(block.project.norm, pointwise(block.project.convolution.weight, hidden))
            x = x + out if index else out
    return x.sum((2, 3)) / (x.shape[2] * x.shape[3]) @ module.head.weight.T + module.head.bias


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("index", range(8))
def test_it_computes_what_its_parts_say(index: int, training: bool) -> None:
    module = model(drawn()[index]).double().train(training)
    batch = inputs(3, 2, 8, 6).double()
    torch.testing.assert_close(module(batch), step_by_step(module, batch), rtol=1e-9, atol=1e-9)


def test_the_sample_covers_every_answer() -> None:
    found = {(name.rpartition(".")[2], value) for a in drawn() for name, value in a.items()}
    assert {("attention", kind) for kind in ATTENTION} <= found
    assert {("kernel", 3), ("kernel", 5), ("kernel", 7), ("depth", 1), ("depth", 2), ("depth", 3)} <= found
    assert {("expansion", 2), ("expansion", 3), ("expansion", 4)} <= found


def closed_form_macs(architecture: Architecture, config: ConvNetConfig) -> int:
    """From the answers alone."""
    height, width, channels = config.height, config.width, STEM_WIDTH
    macs = height * width * 9 * config.channels * channels
    for stage in range(2):
        outputs = int(architecture[f"stages.{stage}.width"])
        for block in range(int(architecture[f"stages.{stage}.depth"])):
            prefix = f"stages.{stage}.blocks.{block}"
            hidden = channels * int(architecture[f"{prefix}.expansion"])
            macs += height * width * channels * hidden
            if block == 0:
                height, width = -(-height // 2), -(-width // 2)
            macs += height * width * hidden * (int(architecture[f"{prefix}.kernel"]) ** 2 + outputs)
            taps = 3 if hidden < 128 else 5
            kind = str(architecture[f"{prefix}.attention"])
            macs += {"none": 0, "se": 2 * hidden * (hidden // 4), "eca": hidden * taps}[kind]
            channels = outputs
    return macs + channels * config.classes


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7)])
def test_its_multiply_adds_follow_from_its_answers(height: int, width: int) -> None:
    config = replace(CONFIG, height=height, width=width)
    for architecture in drawn():
        counted = cost(builder(config)(architecture), torch.zeros(1, 2, height, width)).macs
        assert counted == closed_form_macs(architecture, config)


def test_every_answer_changes_the_shapes_or_the_function() -> None:
    batch = inputs(2, 2, 8, 6)
    base = SPACE.fix({"stages.*.depth": 2, "*.kernel": 5, "*.attention": "eca"}).largest()

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = model(architecture)
        shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
        return shapes, tuple(module(batch).flatten().tolist())

    seen = {signature(base)}
    neighbours = list(SPACE.neighbours(base))
    seen.update(signature(neighbour) for neighbour in neighbours)
    assert len(seen) == 1 + len(neighbours)


class TestAttention:
    def parameters(self, kind: str) -> set[str]:
        architecture = SPACE.fix({f"{BLOCK}.attention": kind}).largest()
        return {name.removeprefix(f"{BLOCK}.") for name, _ in model(architecture).named_parameters() if BLOCK in name}

    def test_where_there_is_none_it_has_no_parameter(self) -> None:
        none = self.parameters("none")
        assert not [name for name in none if "attention" in name]
        assert self.parameters("eca") - none == {"attention.eca.mix.weight"}
        assert self.parameters("se") - none == {
            f"attention.se.{part}.{name}" for part in ("reduce", "expand") for name in ("weight", "bias")
        }

    def test_each_stands_where_it_is_placed_only(self) -> None:
        module = model(SPACE.fix({"*.attention": "none"}).largest().with_answers({f"{BLOCK}.attention": "se"}))
        placed = {name for name, _ in module.named_modules() if name.endswith("attention.se")}
        assert placed == {f"{BLOCK}.attention.se"}

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="unknown attention block 'softmax'; known: none, eca, se"):
            model(SPACE.largest().with_answers({f"{BLOCK}.attention": "softmax"}))


class TestSharing:
    def test_a_smaller_kernel_is_the_middle_of_a_larger_one(self) -> None:
        weights = SharedWeights(builder(CONFIG), load_space("convnet", depth=2, width=16, attention="none"))
        name = f"{BLOCK}.depthwise.convolution.weight"
        numbered = torch.arange(49.0).reshape(7, 7)
        with torch.no_grad():
            weights.get_parameter(name).copy_(numbered.expand_as(weights.get_parameter(name)))
        kernels = {
            size: weights.borrow(weights.space.fix({f"{BLOCK}.kernel": size}).largest()).get_parameter(name)[0, 0]
            for size in (3, 5, 7)
        }
        assert kernels[3].tolist() == [[16, 17, 18], [23, 24, 25], [30, 31, 32]]
        assert kernels[5].tolist() == [[7.0 * i + j for j in range(1, 6)] for i in range(1, 6)]
        assert torch.equal(kernels[7], numbered)

    def test_fewer_channels_are_the_first_of_more(self) -> None:
        weights = randomise(SharedWeights(builder(CONFIG), SPACE.fix({"*.attention": "none", "*.kernel": 3})))
        borrowed = weights.borrow(weights.space.smallest())
        for name in ("stages.1.blocks.0.expand.convolution.weight", "stages.1.blocks.0.project.convolution.weight"):
            part, whole = borrowed.get_parameter(name), weights.get_parameter(name)
            assert part.shape < whole.shape
            assert torch.equal(part, whole[: part.shape[0], : part.shape[1]])

    def test_a_stage_of_another_width_changes_no_other_name(self) -> None:
        names = [
            {name for name, _ in model(SPACE.fix({"stages.0.width": width}).largest()).named_parameters()}
            for width in (16, 32)
        ]
        assert names[0] == names[1]


class TestImages:
    def test_any_height_and_width_will_do(self) -> None:
        for height, width in ((4, 4), (4, 9), (13, 5)):
            module = model(SPACE.largest(), replace(CONFIG, height=height, width=width))
            assert module(inputs(2, 2, height, width)).shape == (2, 3)

    def test_each_stage_halves_the_image(self) -> None:
        sides = []
        module = model(load_space("convnet", stages=3).largest(), replace(CONFIG, height=28, width=28))
        for stage in module.stages:
            stage.register_forward_hook(lambda _, __, out: sides.append(tuple(out.shape[2:])))
        module(inputs(1, 2, 28, 28))
        assert sides == [(14, 14), (7, 7), (4, 4)]

    def test_images_too_small_for_the_stages_are_refused(self) -> None:
        space = load_space("convnet", stages=3)
        builder(replace(CONFIG, width=8))(space.smallest())
        with pytest.raises(IncompatibleTask, match=r"3 stages halve an image 3 times.* 8 x 6 pixels .* at least 8"):
            builder(CONFIG)(space.smallest())

    def test_other_tasks_are_refused(self) -> None:
        for task, reason in (
            (sentences(), "inputs of the kind 'tokens'"),
            (recordings(), "inputs of the kind 'audio'"),
            (replace(images(), per_position=True), "targets by position"),
        ):
            with pytest.raises(IncompatibleTask, match=reason):
                load_builder("convnet", task)

    def test_a_task_of_oblong_images_gets_its_size(self) -> None:
        task = replace(images(), train=Split(torch.zeros(2, 3, 8, 5), torch.zeros(2)))
        module = load_builder("convnet", task)(SPACE.smallest())
        assert module(task.example(2)).shape == (2, task.classes)


def test_a_block_that_changes_its_channels_has_no_shortcut() -> None:
    answers = {"expansion": 2, "kernel": 3, "attention": "none"}
    assert not InvertedResidual(answers, inputs=4, outputs=4, stride=2).shortcut
    with pytest.raises(ValueError, match="keeps its channels; got 4 in and 6 out"):
        InvertedResidual(answers, inputs=4, outputs=6, stride=1)
