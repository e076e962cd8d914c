"""The vision transformer in stages, with convolution blocks and a class token: function, names, costs, refusals."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from predictors.costs import cost
from search_spaces import Architecture, load_space
from supernet import SharedWeights
from supernet.compression import compressed
from supernet.export.onnx import export_onnx
from supernet.export.parity import check_parity
from supernet.export.runtime import Session
from supernet.models.vision_stages import Block, Reduction, Tokens
from supernet.models.vision_transformer import HEAD_WIDTH, VisionTransformer, VisionTransformerConfig, builder
from supernet.tasks.task import predict
from tests.supernet.models.slow_vision_transformer import step_by_step
from tests.supernet.toys import inputs, randomise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from search_spaces.values import Value

SPACE = load_space(
    "vision_transformer",
    stages=(1, 2, 3),
    pooling=("mean", "token"),
    block=("transformer", "convolution", "moat"),
    patch=(1, 2),
    depth=(1, 2),
    width=(6, 8),
    heads=(1, 2),
    mlp_ratio=(1, 2),
    bits=32,
)
CONFIG = VisionTransformerConfig(image_size=8, channels=1, classes=10)
BUILD = builder(CONFIG)
IMAGES = (3, 1, 8, 8)
DRAWN = [SPACE.sample_balanced(random.Random(seed)) for seed in range(24)]


def network(answers: Mapping[str, Value], **others: Value) -> Architecture:
    """Two stages of one layer each, with these answers; in the name of a keyword two underscores stand for a dot."""
    base: dict[str, Value] = {
        "patch": 1,
        "pooling": "mean",
        "stages": 2,
        "stages.0.width": 6,
        "stages.1.width": 12,
        "stages.0.depth": 1,
        "stages.1.depth": 1,
        "stages.0.block": "transformer",
        "stages.1.block": "transformer",
        "stages.0.layers.0.mixer": "windowed",
        "stages.0.layers.0.heads": 2,
        "stages.0.layers.0.window": 2,
        "stages.0.layers.0.mlp_ratio": 2,
        "stages.1.layers.0.mixer": "softmax",
        "stages.1.layers.0.heads": 2,
        "stages.1.layers.0.mlp_ratio": 2,
    }
    return SPACE.canonical(base | dict(answers) | {name.replace("__", "."): value for name, value in others.items()})


MEAN = network({"stages.0.block": "convolution", "stages.1.block": "moat"})
TOKEN = network({"pooling": "token", "stages.0.block": "moat", "stages.0.layers.0.mixer": "softmax"})


def randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


@pytest.mark.parametrize("architecture", [MEAN, TOKEN, *DRAWN[:16]], ids=lambda a: a.digest)
def test_it_computes_what_its_parts_say(architecture: Architecture) -> None:
    module = randomised(BUILD(architecture)).double()
    assert isinstance(module, VisionTransformer)
    images = inputs(*IMAGES).double()
    torch.testing.assert_close(module(images), step_by_step(module, architecture, images), rtol=1e-9, atol=1e-9)


def test_what_is_drawn_covers_every_kind_of_part() -> None:
    drawn = [MEAN, TOKEN, *DRAWN[:16]]

    def seen(last: str) -> set[Value]:
        return {answer for a in drawn for name, answer in a.items() if name.rpartition(".")[2] == last}

    assert seen("mixer") == {"identity", "convolution", "windowed", "softmax"}
    assert seen("block") == {"transformer", "convolution", "moat"}
    assert {(a["stages"], a["pooling"]) for a in drawn} == {(s, p) for s in (1, 2, 3) for p in ("mean", "token")}
    assert {a["patch"] for a in drawn} == {1, 2}


@pytest.mark.parametrize("base", [MEAN, TOKEN], ids=["mean", "token"])
def test_every_answer_changes_the_shapes_or_the_function(base: Architecture) -> None:
    images = inputs(*IMAGES)

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = randomised(BUILD(architecture))
        shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
        return shapes, tuple(module(images).flatten().tolist())

    neighbours = list(SPACE.neighbours(base))
    assert len(neighbours) > 10
    assert len({signature(a) for a in (base, *neighbours)}) == 1 + len(neighbours)


@pytest.mark.parametrize("architecture", [MEAN, TOKEN, *DRAWN], ids=lambda a: a.digest)
def test_every_parameter_gets_a_gradient(architecture: Architecture) -> None:
    # Images on which every stage has several tokens: attention to a single one has no gradient to its query.
    module = randomised(builder(replace(CONFIG, image_size=16))(architecture))
    (module(inputs(2, 1, 16, 16)) ** 2).sum().backward()
    without = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_an_extracted_subnet_computes_bit_by_bit_what_the_borrowed_one_does() -> None:
    space = SPACE.narrow({"stages": (1, 2), "stages.*.depth": 1, "stages.*.layers.*.mlp_ratio": 2})
    weights = randomise(SharedWeights(BUILD, space)).eval()
    images = inputs(*IMAGES)
    drawn = [space.sample_balanced(random.Random(seed)) for seed in range(8)]
    for architecture in (space.smallest(), space.largest(), MEAN, TOKEN, *drawn):
        borrowed, extracted = weights.borrow(architecture), weights.extract(architecture)
        assert torch.equal(predict(borrowed, images), predict(extracted, images))


class TestNames:
    def test_alternatives_that_share_weights_share_names_and_others_do_not(self) -> None:
        def names(**answers: Value) -> set[str]:
            return set(BUILD(network({}, **answers)).state_dict())

        transformer, moat = names(stages__1__block="transformer"), names(stages__1__block="moat")
        convolution = names(stages__1__block="convolution")
        attention = {name for name in moat if ".attention." in name and name.startswith("stages.1.")}
        assert attention
        assert attention <= transformer
        assert not attention & convolution
        inverted = {name for name in convolution if ".inverted." in name}
        assert inverted == {name for name in moat if ".inverted." in name}
        assert not inverted & transformer
        assert names(pooling="token") - names() == {
            "class_token",
            "stages.1.reduction.token.weight",
            "stages.1.reduction.token.bias",
        }

    def test_another_number_of_stages_has_another_head(self) -> None:
        heads = set()
        for stages in (1, 2, 3):
            named = BUILD(SPACE.fix({"stages": stages}).smallest()).state_dict()
            (head,) = (name for name in named if name.endswith("head.weight"))
            assert head == f"stages.{stages - 1}.head.weight"
            heads.add(head)
        assert len(heads) == 3

    def test_bits_find_the_layers_of_every_stage(self) -> None:
        space = load_space(
            "vision_transformer", stages=2, depth=2, width=8, patch=1, bits=(8, 4), block=("transformer", "moat")
        )
        for architecture in (space.smallest(), space.largest()):
            module = compressed(BUILD)(architecture)
            for name, bits in architecture.items():
                if name.endswith(".bits"):
                    layer = module.get_submodule(name.removesuffix(".bits"))
                    linear = [part for part in layer.modules() if isinstance(part, nn.Linear)]
                    assert linear
                    assert {getattr(part, "bits", None) for part in linear} == {bits}


def closed_form_macs(answers: Mapping[str, Value], *, image: int, classes: int) -> int:
    """Multiply-adds for one image of one channel, from the answers alone."""
    flat = "stages" not in answers
    token = int(answers.get("pooling") == "token")
    grid, before, total = image // int(answers["patch"]), 0, 0
    for stage in range(1 if flat else int(answers["stages"])):
        prefix = "" if flat else f"stages.{stage}."
        width = int(answers[f"{prefix}width"])
        if stage:
            grid //= 2
            total += grid**2 * 9 * before * width + token * before * width
        else:
            total += grid**2 * int(answers["patch"]) ** 2 * width
        before = width
        for layer in range(int(answers[f"{prefix}depth"])):
            own = {n.rpartition(".")[2]: a for n, a in answers.items() if n.startswith(f"{prefix}layers.{layer}.")}
            total += _layer_macs(own, str(answers.get(f"{prefix}block", "transformer")), width, grid, token)
    return total + before * classes


def _layer_macs(own: Mapping[str, Value], block: str, width: int, grid: int, token: int) -> int:
    hidden, image = width * int(own["mlp_ratio"]), grid**2
    maps = 2 * width * hidden
    total = (image + token) * maps if block == "transformer" else image * (maps + 9 * hidden)
    inner = HEAD_WIDTH * int(own.get("heads", 0))
    if own.get("mixer") == "softmax":
        tokens = image + token
        total += tokens * 4 * width * inner + 2 * tokens**2 * inner
    elif own.get("mixer") == "windowed":
        total += image * (4 * width * inner + 2 * min(int(own["window"]), grid) ** 2 * inner)
    elif own.get("mixer") == "convolution":
        total += image * (9 * width + width**2)
    return total


class TestCosts:
    @pytest.mark.parametrize("architecture", [MEAN, TOKEN, *DRAWN[:4]], ids=lambda a: a.digest)
    def test_multiply_adds_in_stages(self, architecture: Architecture) -> None:
        counted = cost(BUILD(architecture), torch.zeros(1, 1, 8, 8)).macs
        assert counted == closed_form_macs(architecture, image=8, classes=10)

    @pytest.mark.parametrize("pooling", ["mean", "token"])
    def test_multiply_adds_of_a_flat_network(self, pooling: str) -> None:
        space = load_space("vision_transformer", pooling=pooling, bits=32)
        for seed in range(4):
            architecture = space.sample(random.Random(seed))
            counted = cost(BUILD(architecture), torch.zeros(1, 1, 8, 8)).macs
            assert counted == closed_form_macs(architecture, image=8, classes=10)


class TestClassToken:
    @pytest.mark.parametrize(
        ("block", "mixer"),
        [("convolution", "identity"), ("moat", "windowed"), ("moat", "convolution")],
    )
    def test_what_works_on_the_grid_leaves_it_alone(self, block: str, mixer: str) -> None:
        answers: dict[str, Value] = {"mixer": mixer, "heads": 1, "window": 2, "mlp_ratio": 2}
        tokens = Tokens(width=6, grid=4, class_token=True)
        layer = randomised(Block(answers, block=block, tokens=tokens, head_width=4))
        x = inputs(2, 17, 6)
        out, with_another_token = layer(x), layer(torch.cat([inputs(2, 1, 6, seed=3), x[:, 1:]], 1))
        assert torch.equal(out[:, 0], x[:, 0])
        assert torch.equal(out[:, 1:], with_another_token[:, 1:])
        assert not torch.equal(out[:, 1:], x[:, 1:])

    def test_full_attention_lets_it_see_every_token(self) -> None:
        answers: dict[str, Value] = {"mixer": "softmax", "heads": 1, "mlp_ratio": 2}
        tokens = Tokens(width=6, grid=2, class_token=True)
        layer = randomised(Block(answers, block="transformer", tokens=tokens, head_width=4))
        x = inputs(1, 5, 6)
        before = layer(x)[:, 0]
        for position in range(1, 5):
            moved = x.clone()
            moved[:, position, 0] += 1  # not all features: normalisation hides what they have in common
            assert not torch.equal(layer(moved)[:, 0], before)


class TestReduction:
    def test_without_its_branch_it_averages_and_keeps_the_leading_features(self) -> None:
        reduction = Reduction(Tokens(width=3, grid=4), width=5)
        nn.init.zeros_(reduction.convolution.weight)
        assert reduction.convolution.bias is not None
        nn.init.zeros_(reduction.convolution.bias)
        x = inputs(2, 16, 3)
        out = reduction(x).reshape(2, 2, 2, 5)
        torch.testing.assert_close(out[:, 1, 0, :3], x.reshape(2, 4, 4, 3)[:, 2:, :2].mean((1, 2)))
        assert not out[..., 3:].any()

    def test_a_narrower_stage_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"stage 1: a stage of width 4 cannot follow one of width 6.*6 or more"):
            BUILD(MEAN.with_answers({"stages.1.width": 4}))


class TestRefusals:
    def test_a_grid_that_cannot_be_halved_often_enough(self) -> None:
        build = builder(replace(CONFIG, image_size=28))
        with pytest.raises(ValueError, match=r"3 stages halve the grid.*14 x 14 tokens, and 4 does not divide 14"):
            build(SPACE.fix({"stages": 3, "patch": 2}).smallest())
        assert build(SPACE.fix({"stages": 3, "patch": 1}).smallest())(torch.zeros(1, 1, 28, 28)).shape == (1, 10)

    def test_a_window_that_does_not_divide_the_grid_of_its_stage(self) -> None:
        second = {"stages.1.layers.0.mixer": "windowed", "stages.1.layers.0.window": 2}
        with pytest.raises(ValueError, match="stage 1: a window of 2 tokens does not divide a grid of 7"):
            builder(replace(CONFIG, image_size=28))(network(second, patch=2))

    @pytest.mark.parametrize(
        ("answers", "message"),
        [
            ({"pooling": "max"}, "unknown pooling 'max'; known: mean, token"),
            ({"stages.0.block": "dense"}, "stage 0: unknown block 'dense'; known: transformer, convolution, moat"),
            ({"stages.1.layers.0.mixer": "fourier"}, "stage 1: unknown token mixer 'fourier'"),
        ],
    )
    def test_unknown_values(self, answers: dict[str, Value], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            BUILD(MEAN.with_answers(answers))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [MEAN, TOKEN], ids=["mean", "token"])
def test_the_exported_file_computes_what_the_module_computes(architecture: Architecture, tmp_path: Path) -> None:
    module = randomised(BUILD(architecture)).eval()
    images = inputs(*IMAGES)
    export_onnx(module, images[:2], tmp_path / "model.onnx")
    exported = Session(tmp_path / "model.onnx").run(images.numpy())
    check_parity(predict(module, images).numpy(), exported, "in stages")
