"""A factory with one fault each, and what is said of it: exactly that, by name."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Categorical, Constraint, Ordinal, SearchSpace
from supernet.inspection.inspect import inspect_family, merged
from supernet.slicing import Layout, Layouts, Packed
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from supernet.inspection.finding import Finding

SPACE = SearchSpace({"width": Ordinal(4, 6, 8), "act": Categorical("relu", "tanh"), "depth": Ordinal(1, 2)})
WIDE = SearchSpace({**SPACE.choices, "width": Ordinal(*range(4, 24))})  # too large to look at all of it
TASK = Example(kind="features", shape=(5,), classes=3)()


class Net(nn.Module):
    """A good one."""

    def __init__(self, architecture: Architecture, *, classes: int = 3) -> None:
        super().__init__()
        width = int(architecture["width"])
        self.stem = nn.Linear(5, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(int(architecture["depth"])))
        self.head = nn.Linear(width, classes)
        self.act = str(architecture["act"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + getattr(torch, self.act)(layer(x))
        logits: Tensor = self.head(x)
        return logits


def found(
    build: Callable[[Architecture], Any], layouts: dict[str, Layout] | None = None, space: SearchSpace = SPACE
) -> dict[str, Finding]:
    """The first finding of each name."""
    sampled = [space.smallest(), space.largest(), *(space.sample(random.Random(n)) for n in range(3))]
    architectures = list(dict.fromkeys(sampled))
    result = inspect_family(build, space, TASK, Layouts(layouts, unused=True), architectures, seed=0)
    return {finding.name: finding for finding in reversed(merged(result.findings))}


def test_nothing_is_said_of_a_good_one_and_nothing_is_changed() -> None:
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    connect = socket.socket.connect
    assert found(Net) == {}
    assert torch.equal(states[0], torch.get_rng_state())
    assert (random.getstate(), str(np.random.get_state())) == states[1:]  # noqa: NPY002
    assert socket.socket.connect is connect
    assert "connect" not in vars(socket.socket)


class Faults:
    """Factories by the name of what is wrong with them."""

    _calls = 0
    _layer = nn.Linear(3, 3)
    _seen: ClassVar[list[int]] = []

    @staticmethod
    def build_failed(architecture: Architecture) -> nn.Module:
        if architecture["width"] == 8:
            raise KeyError("no such width")
        return Net(architecture)

    @staticmethod
    def forward_failed(architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        net.stem = nn.Linear(9, int(architecture["width"]))
        return net

    @staticmethod
    def wrong_output(architecture: Architecture) -> nn.Module:
        return Net(architecture, classes=4)

    @classmethod
    def not_repeatable(cls, architecture: Architecture) -> nn.Module:
        cls._calls += 1
        net = Net(architecture)
        net.register_buffer("shift", torch.full((1,), float(cls._calls)))
        return net

    @classmethod
    def global_state(cls, architecture: Architecture) -> nn.Module:
        """Each width that was ever built makes the next ones another: A, A is the same, A, B, A is not."""
        net = Net(architecture)
        if int(architecture["width"]) not in cls._seen:
            cls._seen.append(int(architecture["width"]))
        net.register_buffer("others", torch.tensor(float(len(cls._seen))))
        return net

    @classmethod
    def shared_module(cls, architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        net.head = nn.Sequential(net.head, cls._layer)  # type: ignore[assignment]
        return net

    @staticmethod
    def random_state(architecture: Architecture) -> nn.Module:
        torch.manual_seed(7)
        return Net(architecture)

    @staticmethod
    def global_setting(architecture: Architecture) -> nn.Module:
        torch.set_default_dtype(torch.float64)
        net = Net(architecture)
        torch.set_grad_enabled(False)
        return net.float()

    @staticmethod
    def network(architecture: Architecture) -> nn.Module:
        with suppress(OSError):  # as libraries do that fall back on a cache
            socket.create_connection(("models.example.org", 443))
        return Net(architecture)

    @staticmethod
    def unknown_name(architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        if dict(architecture) == dict(SPACE.smallest()):
            net.head = nn.Sequential(net.head, nn.Linear(3, 3))  # type: ignore[assignment]
            net.head.register_parameter("only_here", nn.Parameter(torch.ones(3)))
            net.head.register_forward_hook(lambda head, _, out: out * head.only_here)
        return net

    @staticmethod
    def larger_than_announced(architecture: Architecture) -> nn.Module:
        """Largest where all is smallest, which nobody looks at to find out."""
        net = Net(architecture)
        smallest = dict(architecture) == dict(SPACE.smallest())
        net.extra = nn.Parameter(torch.zeros(9 if smallest else 2))
        net.head.register_forward_hook(lambda _, __, out: out + net.extra.sum())  # type: ignore[operator]
        return net

    @staticmethod
    def meta_tensor(architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        with torch.device("meta"):
            net.register_buffer("table", torch.zeros(3))
        return net

    @staticmethod
    def ignored_choice(architecture: Architecture) -> nn.Module:
        return Net(Architecture({**architecture, "act": "relu"}))

    @staticmethod
    def equal_values(architecture: Architecture) -> nn.Module:
        return Net(Architecture({**architecture, "width": max(6, int(architecture["width"]))}))

    @staticmethod
    def no_gradient(architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        net.unused = nn.Linear(2, 2)
        return net

    @staticmethod
    def undeclared_packed(architecture: Architecture) -> nn.Module:
        class Gated(nn.Linear):
            def forward(self, input: Tensor) -> Tensor:
                value, gate = super().forward(input).chunk(2, dim=-1)
                return value * gate.sigmoid()

        net = Net(architecture)
        net.stem = Gated(5, 2 * int(architecture["width"]))
        return net

    @staticmethod
    def axes_do_not_nest(architecture: Architecture) -> nn.Module:
        net = Net(architecture)
        if architecture["width"] == 4:
            net.scale = nn.Parameter(torch.ones(3))
        else:
            net.scale = nn.Parameter(torch.ones(3, 1))
        net.head.register_forward_hook(lambda _, __, out: out * net.scale.flatten())
        return net

    @staticmethod
    def undeclared_centred(architecture: Architecture) -> nn.Module:
        class Convolved(nn.Conv1d):
            def forward(self, input: Tensor) -> Tensor:
                return super().forward(input.unsqueeze(1)).flatten(1)

        net = Net(architecture)
        size = 2 * int(architecture["depth"]) - 1
        net.register_module("mix", Convolved(1, 1, size, padding=size // 2))
        net.stem.register_forward_pre_hook(lambda _, inputs: (net.mix(inputs[0]),))  # type: ignore[operator]
        return net

    @staticmethod
    def not_followed(architecture: Architecture) -> nn.Module:
        class Distances(nn.Linear):
            def forward(self, input: Tensor) -> Tensor:
                return torch.cdist(input, self.weight)

        net = Net(architecture)
        net.head = Distances(int(architecture["width"]), 3, bias=False)
        return net


WARNINGS = {"equal-values", "no-gradient", "undeclared-centred", "not-followed"}
FAULTS = [name for name, value in vars(Faults).items() if not name.startswith("_")]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str) -> None:
    name = fault.replace("_", "-")
    space = WIDE if name in ("unknown-name", "larger-than-announced") else SPACE
    findings = found(getattr(Faults, fault), space=space)
    assert set(findings) == {name}, [finding.message for finding in findings.values()]
    assert findings[name].severity == ("warning" if name in WARNINGS else "problem")


def test_the_words_say_where_and_what_to_do() -> None:
    assert "models.example.org" in found(Faults.network)["network"].message
    assert "the choice act changes nothing" in found(Faults.ignored_choice)["ignored-choice"].message
    assert "layouts={'stem.weight': Packed(2)}" in found(Faults.undeclared_packed)["undeclared-packed"].message
    assert "1 elements would be numbers 1 to 1 of 3" in found(Faults.undeclared_centred)["undeclared-centred"].message
    assert "KeyError: 'no such width'" in found(Faults.build_failed)["build-failed"].message


def test_branches_that_are_put_together_need_a_layer_each() -> None:
    space = SearchSpace({"left": Ordinal(2, 3, 4), "right": Ordinal(2, 3, 4)})

    class Branches(nn.Module):
        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.left, self.right = (nn.Linear(5, int(architecture[name])) for name in ("left", "right"))

    class Together(Branches):
        def __init__(self, architecture: Architecture) -> None:
            super().__init__(architecture)
            self.head = nn.Linear(self.left.out_features + self.right.out_features, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(torch.cat([self.left(x), self.right(x)], dim=1))
            return logits

    class Apart(Branches):
        def __init__(self, architecture: Architecture) -> None:
            super().__init__(architecture)
            self.of_left, self.of_right = (nn.Linear(side.out_features, 3) for side in (self.left, self.right))

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.of_left(self.left(x)) + self.of_right(self.right(x))
            return logits

    findings = found(Together, space=space)
    assert set(findings) == {"axes-do-not-nest"}
    assert "a layer for each, whose outputs are added" in findings["axes-do-not-nest"].message
    assert found(Apart, space=space) == {}


def test_declared_layouts() -> None:
    assert found(Faults.undeclared_packed, {"stem.*": Packed(2)}) == {}
    assert found(Faults.undeclared_packed, {"stem.*": Packed(4)})["wrong-layout"].where == "stem.weight"
    assert set(found(Net, {"step.*": Packed(2)})) == {"unused-pattern"}
    assert set(found(Net, {"stem.*": Packed(5)})) == {"layout-error"}


def test_python_s_and_numpy_s_generators_belong_to_others() -> None:
    def build(architecture: Architecture) -> nn.Module:
        random.random()
        return Net(architecture)

    assert set(found(build)) == {"random-state"}
    assert "of random," in found(build)["random-state"].message


def test_a_choice_that_matters_in_training_only_is_not_ignored() -> None:
    def build(architecture: Architecture) -> nn.Module:
        net = Net(Architecture({**architecture, "act": "relu"}))
        net.head = nn.Sequential(nn.Dropout(0.9 if architecture["act"] == "relu" else 0.0), net.head)  # type: ignore[assignment]
        return net

    assert found(build) == {}


def test_values_that_were_never_compared_are_not_said_to_be_equal() -> None:
    """With all other answers the same, the constraint leaves one value."""
    tied = Constraint(
        ("width", "depth"), lambda given: (given["width"] == 4) == (given["depth"] == 1), "narrow ones are flat"
    )
    space = SearchSpace({**SPACE.choices, "width": Ordinal(4, 8)}, constraints=[tied])
    assert found(Net, space=space) == {}
