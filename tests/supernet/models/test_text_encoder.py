"""The text encoder: names, shapes, what each choice changes, and that padding changes nothing."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from predictors.costs import cost
from search_spaces import Architecture, load_space
from supernet.compression import compressed
from supernet.errors import IncompatibleTask
from supernet.mixers import reference
from supernet.mixers.padded_sliding import PaddedSlidingAttention
from supernet.models.registry import load_builder
from supernet.models.text_encoder import FeedForward, TextEncoder, TextEncoderConfig, builder
from supernet.shared_weights import SharedWeights
from supernet.tasks.task import predict
from tests.supernet.mixers.padding import assert_rounding_ignores_padding
from tests.supernet.models.examples import images, language, sentences
from tests.supernet.toys import randomise

TOKENS = 20
CONFIG = TextEncoderConfig(vocabulary=13, tokens=TOKENS, classes=3)
SPACE = load_space(
    "text_encoder", depth=(1, 2, 3), width=(32, 48), window=(2, 5), pooling=("first", "mean"), bits=(4, 8, 32)
)
PLAIN = SPACE.narrow({"*.bits": (32,)})


def model(architecture: Architecture) -> TextEncoder:
    module = builder(CONFIG)(architecture)
    assert isinstance(module, TextEncoder)
    return module


@pytest.fixture(scope="module")
def shared() -> SharedWeights:
    return randomise(SharedWeights(compressed(model), SPACE)).eval()


def ids() -> Tensor:
    """Full, with padding behind, with padding inside, and empty."""
    drawn = torch.randint(1, 13, (4, TOKENS), generator=torch.Generator().manual_seed(5))
    drawn[1, 7:] = 0
    drawn[2, 3:6] = 0
    drawn[3] = 0
    return drawn


def step_by_step(module: TextEncoder, ids_BT: Tensor) -> Tensor:
    """The same network written out, sentence by sentence, with the slow token mixers."""
    rows = []
    for sentence in ids_BT:
        x = module.embedding.token.weight[sentence] + module.embedding.position[: len(sentence)]
        real = sentence != 0
        for layer in module.layers:
            if layer.attention is not None:
                body = layer.attention.body
                sliding = isinstance(body, PaddedSlidingAttention)
                mixer = reference.padded_sliding_attention if sliding else reference.padded_softmax_attention
                x = x + mixer(body, layer.attention.norm(x)[None], real[None])[0]
            if layer.convolution is not None:
                branch = layer.convolution
                x = x + reference.padded_convolution(branch.body, branch.norm(x)[None], real[None])[0]
            hidden = torch.nn.functional.gelu(layer.feed_forward.body.expand(layer.feed_forward.norm(x)))
            x = x + layer.feed_forward.body.contract(hidden)
        x = module.norm(x)
        if module.pooling == "mean":
            rows.append(x[real].mean(0) if real.any() else torch.zeros_like(x[0]))
        else:
            rows.append(x[0])
    return module.head(torch.stack(rows))


@pytest.mark.parametrize("seed", range(12))
def test_it_computes_what_its_parts_say(seed: int) -> None:
    module = model(PLAIN.sample_balanced(random.Random(seed))).double()
    # An empty sentence has no first token to compare: what stands there means nothing.
    read = ids() if module.pooling == "mean" else ids()[:3]
    torch.testing.assert_close(module(read), step_by_step(module, read), rtol=1e-9, atol=1e-9)


def test_the_sample_covers_every_mixer_and_pooling() -> None:
    drawn = [PLAIN.sample_balanced(random.Random(seed)) for seed in range(12)]
    mixers = {answer for a in drawn for name, answer in a.items() if name.endswith("mixer")}
    assert mixers == {"identity", "convolution", "sliding", "softmax"}
    assert {a["pooling"] for a in drawn} == {"first", "mean"}


@pytest.mark.parametrize("bits", [4, 8, 32])
@pytest.mark.parametrize("mixer", ["identity", "convolution", "sliding", "softmax"])
def test_padding_behind_a_sentence_changes_nothing(shared: SharedWeights, mixer: str, bits: int) -> None:
    """Also at 8 bits, where a linear map rounds its inputs by the range over the whole sample."""
    fixed = {"depth": 3, "layers.*.mixer": mixer, "layers.*.bits": bits}
    if mixer == "sliding":
        fixed["layers.*.window"] = 2  # in blocks at some lengths, over all pairs at others
    module = shared.extract(SPACE.fix(fixed).largest()).double()
    sentence = ids()[1:2, :7]
    alone = predict(module, sentence)
    for length in (8, 13, TOKENS):
        longer = torch.nn.functional.pad(sentence, (0, length - 7))
        torch.testing.assert_close(predict(module, longer), alone, rtol=1e-9, atol=1e-9)


def test_padding_makes_the_steps_of_rounded_inputs_no_coarser_in_the_feed_forward_network() -> None:
    assert_rounding_ignores_padding(FeedForward(6, 12), 7, 6)


def test_an_empty_sentence_has_finite_logits_and_gradients() -> None:
    module = model(PLAIN.largest())
    logits = module(torch.zeros(1, TOKENS, dtype=torch.int64))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("seed", range(10))
def test_its_multiply_adds_in_closed_form(seed: int) -> None:
    a = SPACE.sample_balanced(random.Random(seed))
    width, expected = int(a["width"]), int(a["width"]) * CONFIG.classes
    for i in range(int(a["depth"])):
        mixer = a[f"layers.{i}.mixer"]
        if mixer == "convolution":
            expected += TOKENS * width * (3 + width)
        elif mixer != "identity":
            inner, pairs = int(a[f"layers.{i}.heads"]) * 16, TOKENS**2
            if mixer == "sliding":
                window = int(a[f"layers.{i}.window"])
                pairs = min(pairs, math.ceil(TOKENS / window) * window * 3 * window)
            expected += 4 * TOKENS * width * inner + 2 * pairs * inner
        expected += 2 * TOKENS * width * width * int(a[f"layers.{i}.mlp_ratio"])
    assert cost(compressed(model)(a), ids()[:1]).macs == expected


def test_every_answer_changes_the_shapes_or_the_function() -> None:
    base = SPACE.canonical(
        {
            **SPACE.largest(),
            "depth": 2,
            "layers.0.mixer": "sliding",
            "layers.0.window": 2,
            **{name: value for name, value in SPACE.largest().items() if name.startswith("layers.1.")},
        }
        | {"layers.2.mixer": "identity"}
    )

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = compressed(model)(architecture)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
            shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
            return shapes, tuple(module(ids()).flatten().tolist())

    neighbours = list(SPACE.neighbours(base))
    assert len({signature(one) for one in (base, *neighbours)}) == 1 + len(neighbours)


def test_alternatives_that_share_weights_share_names_and_others_do_not() -> None:
    names = {}
    for mixer in ("identity", "convolution", "sliding", "softmax"):
        parameters = model(PLAIN.fix({"layers.0.mixer": mixer}).largest()).state_dict()
        names[mixer] = {name for name in parameters if name.startswith("layers.0.")}
    assert names["sliding"] == names["softmax"]
    assert names["softmax"] & names["convolution"] == names["identity"]


class TestTotalHeads:
    SPACE = load_space("text_encoder", total_heads=(4, 6), depth=(1, 2, 3), width=(16, 32), bits=32)

    def test_the_heads_of_all_layers_add_up(self) -> None:
        for seed in range(10):
            architecture = self.SPACE.sample_balanced(random.Random(seed))
            heads = [layer.attention.body.heads for layer in model(architecture).layers]
            assert len(set(heads)) == 1
            assert sum(heads) == architecture["total_heads"]

    def test_shared_weights_hold_every_architecture(self) -> None:
        weights = SharedWeights(builder(CONFIG), self.SPACE)
        for total, depth in ((4, 1), (4, 2), (6, 1), (6, 2), (6, 3)):
            architecture = self.SPACE.fix({"total_heads": total, "depth": depth}).largest()
            assert weights.shapes(architecture)["layers.0.attention.body.query.weight"] == (16 * total // depth, 32)

    def test_heads_that_cannot_be_divided_are_refused(self) -> None:
        with pytest.raises(ValueError, match="4 heads cannot be divided among 3 layers; choose a depth that divides"):
            model(self.SPACE.fix({"depth": 3}).largest().with_answers({"total_heads": 4}))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"layers.0.mixer": "fourier"}, "unknown token mixer 'fourier'; known: identity"),
        ({"pooling": "max"}, "unknown pooling 'max'; known: first, mean"),
    ],
)
def test_unknown_answers_are_refused(answers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(PLAIN.largest().with_answers(answers))


def test_a_sequence_without_positions_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence of 21 tokens has no positions beyond 20; give at most 20"):
        model(PLAIN.smallest())(torch.ones(1, TOKENS + 1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (images(), r"'random image' has inputs of the kind 'image'"),
        (language(), "a target for each of its tokens"),
        (replace(sentences(), vocabulary=None), "a vocabulary of None"),
    ],
)
def test_other_tasks_are_refused(task, message: str) -> None:
    with pytest.raises(IncompatibleTask, match=f"text_encoder gives one class to a sequence.*{message}"):
        load_builder("text_encoder", task)
