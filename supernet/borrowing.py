"""What makes a module a borrowed one: parameters that refuse to be copied, packed copies that follow the shared
tensors, and refusal once those have been replaced.

It owns what is done to a single module; which tensors it looks into is `shared_weights`' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn

from supernet import slicing
from supernet.errors import BorrowedModuleCopied, StaleBorrow
from supernet.skeleton import bind, leaves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supernet.shared_gradients import Place
    from supernet.slicing import Region


def borrowed_parameter(values: Tensor, requires_grad: bool, place: Place | None) -> nn.Parameter:
    """A leaf that looks into a shared tensor, and knows where its gradient belongs if it gets one.

    It refuses to be copied, since a copy would no longer be shared.  No class of its own says so: torch asks for
    `__torch_function__` at every operation on a tensor of a class that it does not know, which can double its time.
    """
    parameter = nn.Parameter(values, requires_grad)
    vars(parameter).update({_PLACE: place, "__deepcopy__": _refuse_copy, "__reduce_ex__": _refuse_pickle})
    return parameter


_PLACE = "borrowed_place"


def is_borrowed(value: object) -> bool:
    """Whether it came from `borrowed_parameter`."""
    return type(value) is nn.Parameter and _PLACE in vars(value)


def place_of(parameter: Tensor) -> Place | None:
    """Where its gradient belongs; None for one that wants none, and for one that is not borrowed."""
    return vars(parameter).get(_PLACE)


def refuse_pickling(modules: Sequence[nn.Module]) -> None:
    """For picklers that have a way of their own for each parameter, as torch's between processes has."""
    for module in modules:
        vars(module)["__reduce_ex__"] = _refuse_pickle


def _refuse_copy(_memo: dict[int, Any]) -> NoReturn:
    raise _copied("deep-copied")


def _refuse_pickle(_protocol: Any) -> NoReturn:
    raise _copied("pickled")


def _copied(how: str) -> BorrowedModuleCopied:
    return BorrowedModuleCopied(
        f"a borrowed module cannot be {how}: its parameters look into shared tensors that it does not own. "
        "Use SharedWeights.extract(architecture) for a module of its own."
    )


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """A borrowed parameter that is a copy of several blocks, and must follow its shared tensor."""

    shared: nn.Parameter
    regions: tuple[Region, ...]
    parameter: nn.Parameter
    owners: frozenset[str]  # paths of the submodules that hold it

    def refresh(self) -> None:
        """Copy the blocks again if they have changed.

        Values are compared: a fused optimizer step leaves no trace in the tensor's version, and copying
        unchanged values would invalidate the graph of a forward pass that still waits for its backward.
        """
        if not slicing.same(self.shared, self.regions, self.parameter):
            slicing.gather(self.shared, self.regions, self.parameter)


def keep_fresh(module: nn.Module, gathered: Sequence[Gathered]) -> None:
    """Refresh gathered parameters before the module, a submodule that holds some, or one between, is called.

    Those between matter: attention reads the weights of its output projection without calling it.
    """
    below: dict[str, list[Gathered]] = {}
    for one in gathered:
        for path in {above for owner in one.owners for above in _with_ancestors(owner)}:
            below.setdefault(path, []).append(one)
    for path, inside in below.items():

        def refresh(_module: nn.Module, _inputs: Any, inside: list[Gathered] = inside) -> None:
            for one in inside:
                one.refresh()

        module.get_submodule(path).register_forward_pre_hook(refresh)


def _with_ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return ["", *(".".join(parts[: n + 1]) for n in range(len(parts)) if path)]


def spoil(module: nn.Module, cause: str) -> None:
    """Make a borrowed module refuse every call, and let go of the tensors that it looked into."""

    def refuse(_module: nn.Module, _inputs: Any) -> NoReturn:
        raise StaleBorrow(
            f"this module was borrowed before {cause} changed the shared weights; borrow the architecture again."
        )

    for child in module.modules():
        child.register_forward_pre_hook(refuse, prepend=True)
    for leaf in leaves(module):  # for code that reads parameters without calling the module
        empty = torch.empty(leaf.shape, dtype=leaf.dtype, device="meta")
        bind(module, leaf, nn.Parameter(empty, requires_grad=leaf.requires_grad))
