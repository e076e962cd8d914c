"""From answers to compressed modules: names stay, sharing works, and what cannot be compressed is refused."""

from __future__ import annotations

import copy
import pickle
import random

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Categorical, SearchSpace, load_space
from supernet import SharedWeights, load_task
from supernet.compression import Policy, QuantizedLinear, apply, compressed, suspended
from supernet.errors import CompressionError
from supernet.models.registry import load_builder
from supernet.training.loop import LoopConfig
from supernet.training.supernet import score_inherited


class Toy(nn.Module):
    """Two blocks and a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(2))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits


def bits_of(module: nn.Module) -> dict[str, int]:
    return {name: child.bits for name, child in module.named_modules() if isinstance(child, QuantizedLinear)}


def test_answers_become_a_policy() -> None:
    architecture = Architecture({"depth": 2, "blocks.0.bits": 8, "blocks.1.bits": 32, "bits": 4, "habits": 3})
    assert Policy.of(architecture).bits == {"blocks.0": 8, "blocks.1": 32, "": 4}


def test_the_longest_path_counts() -> None:
    module = apply(Toy(), Policy(bits={"blocks.1": 32, "": 4, "blocks": 8}))
    assert bits_of(module) == {"blocks.0.0": 8, "head": 4}


def test_names_values_and_identity_stay() -> None:
    module = Toy()
    before = dict(module.named_parameters())
    values = {name: parameter.detach().clone() for name, parameter in before.items()}
    apply(module, Policy(bits={"": 8}))
    after = dict(module.named_parameters())
    assert list(before) == list(after)
    assert all(after[name] is before[name] for name in before)
    assert all(torch.equal(after[name], values[name]) for name in before)
    module.load_state_dict(Toy().state_dict())


def test_applying_again_replaces() -> None:
    module = apply(Toy(), Policy(bits={"": 8}))
    x = torch.randn(2, 8)
    plain = copy.deepcopy(module)
    apply(plain, Policy(bits={"": 32}))
    assert not bits_of(plain)
    assert type(plain.get_submodule("head")) is nn.Linear
    assert not torch.equal(plain(x), module(x))
    apply(module, Policy(bits={"head": 4}))
    assert bits_of(module) == {"blocks.0.0": 8, "blocks.1.0": 8, "head": 4}


def test_suspended_computes_in_full_precision_and_restores() -> None:
    module = Toy()
    x = torch.randn(2, 8)
    expected = module(x)
    apply(module, Policy(bits={"": 4}))
    rounded = module(x)
    with suspended(module):
        assert torch.equal(module(x), expected)
    assert torch.equal(module(x), rounded)
    assert not torch.equal(rounded, expected)
    with pytest.raises(RuntimeError, match="inside"), suspended(module):
        raise RuntimeError("inside")
    assert bits_of(module)


@pytest.mark.parametrize("bits", [0, 3, 16, 8.0, "8", True, None])
def test_other_bits_are_refused(bits: object) -> None:
    with pytest.raises(CompressionError, match="allowed: 4, 8, 32"):
        Policy(bits={"head": bits})  # type: ignore[dict-item]


class OwnForward(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


@pytest.mark.parametrize(
    ("module", "path", "words"),
    [
        (Toy(), "blocks.7", "'blocks.7', which Toy does not have"),
        (nn.Sequential(nn.ReLU()), "", "the module has no linear map"),
        (nn.Sequential(nn.Conv2d(1, 1, 1)), "0", "0 has no linear map"),
        (nn.Sequential(nn.MultiheadAttention(8, 2)), "", "0 is a MultiheadAttention"),
        (nn.Sequential(nn.TransformerEncoderLayer(8, 2)), "0", r"0 is a Transformer"),
        (nn.Sequential(OwnForward(2, 2)), "", "0 is a OwnForward"),
    ],
)
def test_what_would_not_compute_with_rounded_weights_is_refused(module: nn.Module, path: str, words: str) -> None:
    with pytest.raises(CompressionError, match=words):
        apply(module, Policy(bits={path: 8}))
    assert not bits_of(module)


def test_full_precision_is_allowed_everywhere_that_exists() -> None:
    apply(nn.Sequential(nn.MultiheadAttention(8, 2)), Policy(bits={"": 32}))
    with pytest.raises(CompressionError, match="does not have"):
        apply(Toy(), Policy(bits={"nowhere": 32}))


def toy_of(architecture: Architecture) -> nn.Module:
    return Toy(int(architecture["width"]))


class TestSharing:
    """A user's own plain model, with widths that nest and bits by path."""

    @pytest.fixture
    def weights(self) -> SharedWeights:
        space = SearchSpace(
            {
                "width": Categorical(4, 8),
                "blocks.0.bits": Categorical(4, 8, 32),
                "head.bits": Categorical(8, 32),
            }
        )
        # The example's first map takes `width` inputs, so that inputs are cut to it.
        return SharedWeights(compressed(toy_of), space)

    def test_borrowed_and_extracted_are_bit_equal(self, weights: SharedWeights) -> None:
        rng = random.Random(0)
        for _ in range(12):
            architecture = weights.space.sample(rng)
            x = torch.randn(5, int(architecture["width"]))
            borrowed, extracted = weights.borrow(architecture), weights.extract(architecture)
            assert bits_of(borrowed) == bits_of(extracted)
            assert bits_of(borrowed).get("head", 32) == architecture["head.bits"]
            assert torch.equal(borrowed(x), extracted(x))

    def test_other_bits_compute_something_else_from_the_same_weights(self, weights: SharedWeights) -> None:
        x = torch.randn(5, 8)
        outputs = [
            weights.borrow(Architecture({"width": 8, "blocks.0.bits": bits, "head.bits": 32}))(x) for bits in (4, 8, 32)
        ]
        assert not torch.equal(outputs[0], outputs[1])
        assert (outputs[1] - outputs[2]).abs().max() < (outputs[0] - outputs[2]).abs().max()

    def test_gradients_reach_the_shared_tensors(self, weights: SharedWeights) -> None:
        architecture = Architecture({"width": 4, "blocks.0.bits": 4, "head.bits": 8})
        x = torch.randn(5, 4)
        weights.borrow(architecture)(x).square().sum().backward()
        own = weights.extract(architecture)
        own(x).square().sum().backward()
        shared = dict(weights.named_parameters())
        for name, parameter in own.named_parameters():
            whole = shared[name].grad
            assert whole is not None
            part = whole[tuple(slice(0, size) for size in parameter.shape)]
            assert torch.equal(part, parameter.grad), name

    def test_extracted_modules_can_be_pickled(self, weights: SharedWeights) -> None:
        module = weights.extract(Architecture({"width": 4, "blocks.0.bits": 4, "head.bits": 8}))
        x = torch.randn(2, 4)
        assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))


def test_a_score_does_not_depend_on_the_batch() -> None:
    """Ranges are those of a sample, so that a validation split may be cut into batches of any size."""
    task = load_task("digits")
    space = load_space("vision_transformer", depth=2, mixer=["windowed", "softmax"], bits=[8])
    weights = SharedWeights(load_builder("vision_transformer", task), space)
    architecture = space.sample(random.Random(1))
    module = weights.extract(architecture).eval()
    images = task.validation.inputs[:6]
    with torch.no_grad():
        together, alone = module(images), torch.cat([module(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert score_inherited(weights, architecture, task, LoopConfig(steps=1))["error"] > 0
