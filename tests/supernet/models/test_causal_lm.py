"""The causal language model: names, shapes, what each choice changes, what it refuses."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from search_spaces import Architecture, load_space
from supernet.compression import compressed
from supernet.errors import IncompatibleTask
from supernet.mixers import reference
from supernet.models.causal_lm import FAMILY, CausalLM, CausalLMConfig, builder
from tests.supernet.mixers.compare import randomised
from tests.supernet.models.examples import images, language, sentences

SPACE = load_space(
    "causal_lm", width=(24, 32), head_width=(8, 4), norm=("rms", "layer"), positions=("none", "rotary"),
    span=(5, "full"), local_span=(3, "same"), mlp_ratio=(0, 1, 2),
)  # fmt: skip
CONFIG = CausalLMConfig(vocabulary=11, classes=7, context=13)
SLOW = {
    "short_convolution": reference.short_convolution,
    "linear": reference.decayed_linear_attention,
    "softmax": reference.grouped_attention,
}


def model(architecture: Architecture) -> CausalLM:
    module = builder(CONFIG)(architecture)
    assert isinstance(module, CausalLM)
    return module


def tokens(batch: int = 2, length: int = 13) -> Tensor:
    return torch.randint(11, (batch, length), generator=torch.Generator().manual_seed(0))


def normed(architecture: Architecture, norm: torch.nn.Module, x: Tensor) -> Tensor:
    own = norm.only[str(architecture["norm"])]
    if architecture["norm"] == "rms":
        return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * own.weight
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * own.weight + own.bias


def step_by_step(architecture: Architecture, module: CausalLM, token_BT: Tensor) -> Tensor:
    """The same network written out, with the slow token mixers."""
    x = module.embedding.weight[token_BT]
    for index, layer in enumerate(module.layers):
        answers = {name: architecture.get(f"layers.{index}.{name}") for name in ("mixer", "mlp_ratio", "feed_forward")}
        assert len(layer.mixer) == (answers["mixer"] != "identity")
        assert len(layer.feed_forward) == (answers["mlp_ratio"] != 0)
        for branch in layer.mixer.values():
            x = x + SLOW[str(answers["mixer"])](branch.body, normed(architecture, branch.norm, x))
        for branch in layer.feed_forward.values():
            body, read = branch.body, normed(architecture, branch.norm, x)
            if answers["feed_forward"] == "plain":
                hidden = F.gelu(body.expand(read))
            else:
                hidden = body.gate(read) * body.gate(read).sigmoid() * body.expand(read)
            x = x + body.contract(hidden)
    return module.head(normed(architecture, module.norm, x))


@pytest.mark.parametrize("seed", range(12))
def test_it_computes_what_its_parts_say(seed: int) -> None:
    architecture = SPACE.sample_balanced(random.Random(seed))
    module = model(architecture)
    randomised(module)
    expected = step_by_step(architecture, module, tokens())
    torch.testing.assert_close(module(tokens()), expected, rtol=1e-9, atol=1e-9)


def test_the_sample_covers_what_there_is() -> None:
    drawn = [SPACE.sample_balanced(random.Random(seed)) for seed in range(12)]
    for choice in ("mixer", "feed_forward", "norm", "positions", "span", "local_span"):
        answers = {answer for a in drawn for name, answer in a.items() if name.rpartition(".")[2] == choice}
        values = next(c.values for name, c in SPACE.choices.items() if name.rpartition(".")[2] == choice)
        assert answers == set(values), choice


@pytest.mark.parametrize("mixer", ["identity", "short_convolution", "linear", "softmax"])
def test_a_token_never_looks_ahead(mixer: str) -> None:
    space = SPACE.narrow({"*.mixer": (mixer,), "*.bits": (32,)})
    for seed in range(2):
        module = model(space.sample_balanced(random.Random(seed)))
        randomised(module)
        text = tokens()
        with torch.no_grad():
            before = module(text)
            for place in (0, 6, 12):
                other = text.clone()
                other[:, place] = (other[:, place] + 1) % 11
                changed = (module(other) != before).any(-1)
                assert not changed[:, :place].any()
                assert changed[:, place].all()


def test_every_answer_changes_the_shapes_or_the_function() -> None:
    softmax = {"mixer": "softmax", "heads": 2, "key_heads": 1, "value_heads": 2, "span": "full", "local_span": 3}
    both = {f"layers.0.{name}": value for name, value in softmax.items()} | {"layers.1.mixer": "linear"}
    base = SPACE.canonical({**SPACE.fix({"depth": 3, "layers.0.heads": 2}).largest(), **both, "layers.1.heads": 2})

    def signature(architecture: Architecture) -> tuple[object, ...]:
        module = compressed(model)(architecture)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
            shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
            return shapes, tuple(module(tokens()).flatten().tolist())

    neighbours = list(SPACE.neighbours(base))
    assert len({signature(a) for a in (base, *neighbours)}) == 1 + len(neighbours)


def names_of(**answers: object) -> set[str]:
    """Parameters of the first layer."""
    fixed = SPACE.fix({"depth": 2, "layers.0.mlp_ratio": 1})
    base = {name: value for name, value in fixed.largest().items() if not name.startswith("layers.0.")}
    layer = {
        "mixer": "softmax", "heads": 2, "key_heads": 2, "value_heads": 2, "span": "full", "local_span": "same",
        "mlp_ratio": 1, "feed_forward": "plain", "bits": 32,
    }  # fmt: skip
    above = {name: answers.pop(name) for name in tuple(answers) if name in base}
    own = {f"layers.0.{name}": value for name, value in {**layer, **answers}.items()}
    module = model(SPACE.canonical({**base, **above, **own}))
    return {name for name, _ in module.named_parameters() if name.startswith("layers.0.")}


def test_alternatives_that_share_weights_share_names_and_others_do_not() -> None:
    usual = names_of()
    for entangled in (
        {"heads": 4}, {"key_heads": 1}, {"value_heads": 1}, {"span": 5}, {"local_span": 3}, {"bits": 4},
        {"mlp_ratio": 2}, {"positions": "none"}, {"width": 24},
    ):  # fmt: skip
        assert names_of(**entangled) == usual, entangled
    identity = names_of(mixer="identity")
    assert identity < usual
    mixers = [names_of(mixer=mixer) - identity for mixer in ("short_convolution", "linear", "softmax")]
    mixers.append(names_of(head_width=4) - identity)
    networks = [names_of(feed_forward=kind) - names_of(mlp_ratio=0) for kind in ("plain", "gated")]
    for alternatives in (mixers, networks):
        assert len(set().union(*alternatives)) == sum(len(names) for names in alternatives)
    norms = [{name for name in names_of(norm=norm) if ".norm." in name} for norm in ("rms", "layer")]
    assert norms[0]
    assert not norms[0] & norms[1]


def test_it_reads_any_number_of_tokens() -> None:
    module = model(SPACE.largest())
    for length in (1, 40):
        assert module(tokens(3, length)).shape == (3, length, 7)


def test_a_first_guess_is_about_uniform() -> None:
    with torch.no_grad():
        logits = model(SPACE.largest())(tokens())
    assert float(F.cross_entropy(logits.flatten(0, 1), tokens().flatten() % 7)) < 1.5 * math.log(7)


class TestRefusals:
    def test_tasks_without_a_target_for_each_token(self) -> None:
        with pytest.raises(IncompatibleTask, match=r"class for each token.* kind 'image'"):
            FAMILY.builder(images())
        with pytest.raises(IncompatibleTask, match="no target for each position"):
            FAMILY.builder(sentences())
        with pytest.raises(IncompatibleTask, match="vocabulary of None"):
            FAMILY.builder(replace(language(), vocabulary=None))

    @pytest.mark.parametrize(("name", "answers"), [("span", {"span": 64}), ("local_span", {"local_span": 64})])
    def test_a_span_longer_than_the_context(self, name: str, answers: dict[str, int]) -> None:
        fixed = {"layers.0.mixer": "softmax", "layers.0.heads": 2}
        fixed |= {f"layers.0.{name}": value for name, value in answers.items()}
        space = load_space("causal_lm", span=(64, "full"), local_span=(64, "same")).fix(fixed)
        build = FAMILY.builder(language())
        message = rf"layers\.0\.{name} is 64 tokens, and the task's context has 40; use spans of at most 40, or 'full'"
        with pytest.raises(IncompatibleTask, match=message):
            build(space.largest())

    def test_an_unknown_mixer(self) -> None:
        with pytest.raises(ValueError, match="unknown token mixer 'fourier'; known: identity, short_convolution"):
            model(SPACE.largest().with_answers({"layers.0.mixer": "fourier"}))

    def test_heads_that_do_not_divide(self) -> None:
        with pytest.raises(ValueError, match="3 K heads do not divide 4 query heads"):
            model(SPACE.largest().with_answers({"layers.0.key_heads": 3}))
