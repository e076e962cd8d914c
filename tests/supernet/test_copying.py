"""A copy of a module is what `copy.deepcopy` makes, whatever the module is like, with other parameters in it."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import pytest
import torch
from torch import Tensor, nn

from supernet.copying import UNCHANGING, Copies


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.Dropout(0.1), nn.Softmax(dim=-1))
        self.second.append(self.second[1])  # the same module twice
        self.register_parameter("absent", None)
        self.register_module("missing", None)
        self.sizes, self.device, self.mixed = (3, 4), torch.device("cpu"), (1, [2])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.two = nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.also = [self.one.weight, {"bias": self.two.bias}]


class Knotted(nn.Module):
    """Refers to itself, to tables of other modules, and to modules that nobody registered."""

    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(2, 2)
        self.unseen = [nn.Identity(), self.child, self]
        self.hooks_of_child = {"table": self.child._forward_hooks}
        self.parts = (self.child._parameters, self._modules)
        self.bound = self.child.extra_repr
        self.child.register_forward_hook(_hook)
        self.constant = torch.arange(3.0)
        self.same_constant = {"again": self.constant}


class OneEmptyTableTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(2, 2)
        self.mine: dict[str, int] = {}
        self.child.yours = self.mine  # type: ignore[assignment]


class SaysHow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.copies = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "copies": state["copies"] + 1})  # type: ignore[no-untyped-call]


class Ordered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Linear(2, 2)
        self.__dict__["_modules"] = OrderedDict(self._modules)


SHARED = "both refer to the same object"


def _hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
    return output


MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(2, 3),
    "plain": Plain,
    "tied": Tied,
    "knotted": Knotted,
    "one empty table twice": OneEmptyTableTwice,
    "says how": lambda: nn.Sequential(SaysHow()),
    "ordered": Ordered,
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "encoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2, enable_nested_tensor=False),
    "recurrent": lambda: nn.LSTM(3, 2, num_layers=2, bidirectional=True),
    "no parameters": nn.Identity,
}


@pytest.mark.parametrize("name", MODULES)
def test_it_is_what_deepcopy_makes(name: str) -> None:
    module = MODULES[name]()
    old = tuple(module.parameters())
    new = [nn.Parameter(torch.full_like(one, 7.0)) for one in old]
    copies = Copies(module, old)
    copies.make([nn.Parameter(torch.zeros_like(one)) for one in old])
    ours = copies.make(new)  # not the first one that is made
    theirs = copy.deepcopy(module, {id(a): b for a, b in zip(old, new, strict=True)})
    assert list(differences(ours, theirs)) == []
    assert [one for one in differences(ours, module) if one.endswith(SHARED)] == []


def differences(one: Any, other: Any, pairs: dict[int, int] | None = None, path: str = "") -> Iterator[str]:
    """Where two objects differ: in kind, in value, in order, or in which parts of them are the same object.

    Also where they share one that could change.  `pairs` are the identities of those that were compared, both ways.
    """
    pairs = {} if pairs is None else pairs
    if type(one) is not type(other):
        yield f"{path}: {type(one)} and {type(other)}"
    elif type(one) in UNCHANGING or (type(one) is tuple and one is other):
        if type(one) is not ref and one != other:
            yield f"{path}: {one} and {other}"
    elif isinstance(one, nn.Parameter):
        if one is not other:
            yield f"{path}: another parameter"
    elif id(one) in pairs or id(other) in pairs:
        if (pairs.get(id(one)), pairs.get(id(other))) != (id(other), id(one)):
            yield f"{path}: refers to something else"
    elif one is other:
        yield f"{path}: {SHARED}"
    else:
        pairs |= {id(one): id(other), id(other): id(one)}
        if isinstance(one, Tensor) and not torch.equal(one, other):
            yield f"{path}: {one} and {other}"
        for name, a, b in parts(one, other):
            yield from differences(a, b, pairs, f"{path}.{name}")


def parts(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, nn.Module):
        yield "__dict__", vars(one), vars(other)
    elif isinstance(one, dict):
        yield "keys", ",".join(map(str, one)), ",".join(map(str, other))
        yield from ((str(key), one[key], other[key]) for key in one.keys() & other.keys())
    elif isinstance(one, list | tuple):
        yield "length", len(one), len(other)
        yield from ((str(number), a, b) for number, (a, b) in enumerate(zip(one, other, strict=False)))
    elif isinstance(one, set):
        yield "length", len(one), len(other)
    elif hasattr(one, "__self__"):
        yield "__self__", one.__self__, other.__self__
    else:
        assert isinstance(one, Tensor), f"this test does not know how to compare {type(one)}"
