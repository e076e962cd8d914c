"""Weights that every architecture of a space shares.

`SharedWeights` owns the shared tensors, and lends or copies them.  Which tensors there are is `discovery`'s business,
which part of a tensor a subnet sees is `slicing`'s, their gradients are `shared_gradients`'; what a subnet computes is
the user's own module.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

import torch
from torch import Tensor, nn

from search_spaces import Architecture, InvalidArchitecture, SearchSpace
from supernet import slicing
from supernet.borrowing import Gathered, borrowed_parameter, keep_fresh, refuse_pickling, spoil
from supernet.discovery import initial_values
from supernet.errors import UnknownParameter
from supernet.lending import Loan
from supernet.linear_gradient import route
from supernet.shared_gradients import Place, SharedGradients
from supernet.skeleton import Build, Leaf, Skeleton, build_skeleton
from supernet.slicing import Layout, Layouts, Region, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from supernet.pretrained.calibration import Calibration
    from supernet.pretrained.coupling import Couplings
    from supernet.pretrained.importance import Criterion


@dataclass
class _Plan:
    """One architecture's skeleton, and for each of its leaves where it lies in the shared tensor."""

    skeleton: Skeleton
    places: tuple[Place, ...]
    idle: Loan | None = None  # a borrowed module that was given back
    was_lent: bool = False
    may_repeat: bool = True  # whether to keep one


@dataclass(frozen=True)
class _Borrowed:
    """A borrowed module, and those of its parameters that are copies."""

    module: nn.Module
    gathered: list[Gathered]


class SharedWeights(nn.Module):
    """The largest tensor that any architecture needs, for each parameter name.

    `build` makes an ordinary module from an architecture; it is called with nothing active and nothing shared.
    The parameters of this module carry the same names as those of the built ones, so optimizers, `state_dict` and
    `named_parameters` work as usual.

    After `loss(borrowed(x)).backward()` the gradients stand in the `.grad` of these parameters, small ones not before
    the end of the pass; those that the subnets of this step did not use keep `None`, so that an optimizer leaves them
    alone.  Gradient buffers are reused: after `zero_grad` an old `.grad` tensor may be overwritten by the next backward
    pass.

    `values` gives the shared tensors by name, from an earlier `state_dict` of the same space say; they are looked into
    and not copied, and nothing is built to find out what there must be.

    Layouts are declared in `layouts`, by pattern of parameter name, or beside a layer: its class may have
    `parameter_layouts = {"weight": Centred()}`; the former wins.

    Raises `LayoutError` where a parameter cannot be shared as declared, or is known to be packed and not declared.
    """

    def __init__(
        self,
        build: Build,
        space: SearchSpace,
        *,
        layouts: Mapping[str, Layout] | Layouts | None = None,
        values: Mapping[str, Tensor] | None = None,
        seed: int = 0,
        cache_size: int = 64,
    ) -> None:
        super().__init__()
        self._build = build
        self.space = space
        self._seed = seed
        self._layouts = layouts if isinstance(layouts, Layouts) else Layouts(layouts)
        self._cache_size = cache_size
        self._cache: OrderedDict[Architecture, _Plan] = OrderedDict()
        self._borrows: WeakSet[nn.Module] = WeakSet()
        self._shared: dict[str, nn.Parameter] = {}
        self._gradients = SharedGradients(self._shared)
        self.register_load_state_dict_post_hook(_after_loading)  # type: ignore[no-untyped-call]
        with torch.inference_mode(False):
            if values is None:
                values = initial_values(build, space, self._layouts, seed)
            for name, value in values.items():
                _register(self, name, nn.Parameter(value, requires_grad=value.requires_grad))
        self._shared.update(self.named_parameters())

    @classmethod
    def from_pretrained(
        cls,
        model: nn.Module | Mapping[str, Tensor],
        build: Build,
        space: SearchSpace,
        *,
        layouts: Mapping[str, Layout] | Layouts | None = None,
        order: Criterion | None = None,
        couplings: Couplings = (),
        layers: Sequence[str] = (),
        calibration: Calibration | None = None,
        seed: int = 0,
    ) -> Self:
        """Shared weights whose largest architecture is `model`: a module, or its tensors by name.

        Its names and shapes must be exactly those of `build(space.largest())`; its values are copied, in the types
        that `build` gives (of fp16 and bf16 nothing is lost in fp32).  What only other architectures have keeps the
        values that `build` gives, seeded.  The largest architecture has the buffers of `model` too, running statistics
        among them; those of every other are what `build` gives, and running statistics must be recalibrated.

        With an `order` by importance ("magnitude", "activation" or "gradient") the units of the `couplings`, and the
        layers in the lists at the paths `layers`, are put in order, the most important ones first, so that smaller
        subnets begin with these.  The largest architecture computes the same as before, within 1e-5 of its largest
        output on the `calibration` samples, which every order needs; "gradient" needs their targets too.  Ranked
        layers are named by rank and computed in the order of `model`.

        Raises `PretrainedError` or `CouplingError`, and what `SharedWeights(...)` raises.
        """
        from supernet.pretrained.start import ordering_of, start  # which few weights begin with

        ordering = ordering_of(order, couplings=couplings, layers=layers, calibration=calibration)
        begun = start(model, build, space, layouts=layouts, ordering=ordering, seed=seed)
        return cls(begun.build, space, layouts=layouts, values=begun.values, seed=seed)

    # What a person calls

    @torch.inference_mode(False)
    def borrow(self, architecture: Architecture) -> nn.Module:
        """A module of its own whose parameters look into the shared tensors; only packed blocks are copied.

        It is in the training mode of this module.  Its buffers are private: running statistics that it gathers are
        its own.  Read its parameters, and let this module's optimizer change them; copies of packed blocks follow
        when the module, or the part of it that holds them, is called.  It refuses to be pickled or copied, and
        raises `StaleBorrow` after `.to()` or `load_state_dict`.

        Raises `InvalidArchitecture`, `UnknownParameter`, `ShapeTooLarge` or `LayoutError`.
        """
        return self._borrow(self._plan(architecture)).module

    @contextmanager
    def lent(self, architecture: Architecture) -> Iterator[nn.Module]:
        """As `borrow`, for the length of a `with` block: the module is given back at its end, and not used again.

        The same module may be lent again, if nobody can tell it from a new one: its gradients, attributes and hooks are
        as they were, its buffers are set back.  From the third time on nothing is made anew.  Backward
        passes belong into the block.  Same errors as `borrow`.
        """
        plan = self._plan(architecture)
        loan = self._given_back(plan)
        if loan is None:
            borrowed = self._borrow(plan)
            module = borrowed.module
            if plan.was_lent and plan.may_repeat:  # what is lent once only, as most are, is not worth it
                loan = Loan.of(module, borrowed.gathered, self._shared.values(), training=self.training)
                plan.may_repeat = loan is not None
            plan.was_lent = True
        else:
            module = loan.module
        yield module
        plan.idle = loan

    @torch.inference_mode(False)
    def extract(self, architecture: Architecture) -> nn.Module:
        """A module with a copy of the same slices, independent of this one from now on.

        On the CPU its outputs are bit-equal to the borrowed module's.  Same errors as `borrow`.
        """
        plan = self._plan(architecture)
        parameters = [
            nn.Parameter(_gathered(self._shared[leaf.name], leaf, place.regions), requires_grad=leaf.requires_grad)
            for leaf, place in zip(plan.skeleton.leaves, plan.places, strict=True)
        ]
        module = plan.skeleton.instantiate(parameters)
        self._settle(module, plan.skeleton.leaves)
        return module

    def shapes(self, architecture: Architecture) -> dict[str, Shape]:
        """The shape of each parameter of an architecture, tied ones once; builds no weights.

        Same errors as `borrow`.
        """
        return {leaf.name: leaf.shape for leaf in self._plan(architecture).skeleton.leaves}

    # What torch calls

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._invalidate("to() or a similar call")
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.update(_cache=OrderedDict(), _borrows=None, _shared={}, _gradients=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_borrows": WeakSet()})  # type: ignore[no-untyped-call]
        self._shared.update(self.named_parameters())
        self._gradients = SharedGradients(self._shared)

    # How it works

    def _plan(self, architecture: Architecture) -> _Plan:
        if not isinstance(architecture, Architecture):
            raise InvalidArchitecture(
                f"expected an Architecture, got {type(architecture).__name__}; "
                "make one with Architecture({...}) or space.canonical({...})."
            )
        if architecture in self._cache:
            self._cache.move_to_end(architecture)
            return self._cache[architecture]
        self.space.check(architecture)
        skeleton = build_skeleton(self._build, architecture, self._seed)
        plan = _Plan(skeleton, tuple(self._locate(leaf) for leaf in skeleton.leaves))
        self._cache[architecture] = plan
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return plan

    def _given_back(self, plan: _Plan) -> Loan | None:
        """The module of an earlier loan, if there is one and it is like new."""
        loan, plan.idle = plan.idle, None
        if loan is None or loan.training is not self.training:
            return None
        if not loan.renew():
            plan.may_repeat = False
            return None
        return loan

    @torch.inference_mode(False)
    def _borrow(self, plan: _Plan) -> _Borrowed:
        parameters: list[nn.Parameter] = []
        gathered: list[Gathered] = []
        for leaf, place in zip(plan.skeleton.leaves, plan.places, strict=True):
            shared, regions = self._shared[leaf.name], place.regions
            values = slicing.view(shared, regions) if place.is_view else _gathered(shared, leaf, regions)
            is_trained = leaf.requires_grad and shared.requires_grad
            parameter = borrowed_parameter(values, is_trained, place if is_trained else None)
            if not place.is_view:
                owners = frozenset(path for path, _ in leaf.places)
                gathered.append(Gathered(shared=shared, regions=regions, parameter=parameter, owners=owners))
            if is_trained:
                parameter.register_post_accumulate_grad_hook(place.receive)  # type: ignore[no-untyped-call]
            parameters.append(parameter)
        module = plan.skeleton.instantiate(parameters)
        children = self._settle(module, plan.skeleton.leaves)
        keep_fresh(module, gathered)
        route(children)
        refuse_pickling(children)
        self._borrows.add(module)
        return _Borrowed(module, gathered)

    def _locate(self, leaf: Leaf) -> Place:
        shared = self._shared.get(leaf.name)
        if shared is None:
            near = get_close_matches(leaf.name, self._shared, n=3, cutoff=0.3)
            raise UnknownParameter(
                f"no shared tensor is named {leaf.name!r} (nearest: {', '.join(near) or 'none'}): build() made it "
                f"for none of the architectures that were probed. Its name must depend on single choices."
            )
        regions = self._layouts.regions(leaf.name, tuple(shared.shape), leaf.shape, leaf.layout)
        return self._gradients.place(leaf.name, regions)

    def _settle(self, module: nn.Module, leaves: tuple[Leaf, ...]) -> list[nn.Module]:
        """Bring the private buffers to where the weights are and to what they were cast to; take over the mode.

        Returns the module and all below it: to walk through them is a good part of what borrowing takes.
        """
        children = list(module.modules())
        holders = [child for child in children if child._buffers]
        if holders:
            cast = {leaf.dtype: self._shared[leaf.name].dtype for leaf in leaves}
            device = next(iter(self._shared.values())).device if self._shared else torch.device("cpu")
            for child in holders:
                for name, buffer in child.named_buffers(recurse=False):
                    dtype = cast.get(buffer.dtype, buffer.dtype)
                    if (buffer.device, buffer.dtype) != (device, dtype):
                        setattr(child, name, buffer.to(device, dtype))
        if all(type(child).train is nn.Module.train for child in children):
            for child in children:
                if child.training != self.training:
                    child.training = self.training
        else:  # one that keeps a part of it in evaluation mode, say
            module.train(self.training)
        return children

    def _invalidate(self, cause: str) -> None:
        self._shared.update(self.named_parameters())
        self._gradients.forget()
        for plan in self._cache.values():
            plan.idle = None
            for place in plan.places:
                place.forget()
        for module in list(self._borrows):
            spoil(module, cause)
        self._borrows.clear()


def _after_loading(weights: nn.Module, _incompatible_keys: Any) -> None:
    """Also where these weights are loaded as a part of a larger module."""
    assert isinstance(weights, SharedWeights)
    weights._invalidate("load_state_dict")


def _gathered(shared: nn.Parameter, leaf: Leaf, regions: tuple[Region, ...]) -> Tensor:
    return slicing.gather(shared, regions, torch.empty(leaf.shape, dtype=shared.dtype, device=shared.device))


def _register(root: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Hold a parameter under a dotted name, so that `state_dict` keeps the names of the built modules.

    Written into the tables directly: a user's submodule may be called as one of our own attributes.
    """
    *path, last = name.split(".")
    holder = root
    for part in path:
        holder = holder._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    holder._parameters[last] = parameter
