"""Linear maps of a borrowed module whose gradients are computed where they belong: in the shared gradients.

Left to itself, autograd allocates the gradient of a weight, turns it round (for a slice of columns it comes out
transposed), and hands it over to be added: for small batches that costs more than the product itself.  Everything
out of the ordinary (autocast, double backward, hooks, transforms, tracing, a GPU) takes the ordinary way.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from supernet.borrowing import place_of
from supernet.late_gradients import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch.autograd.graph import Node

    from supernet.shared_gradients import Compute, Place

# From this many rows and columns on.  A smaller matrix has nothing to gain; and where one side of a product is shorter
# than 12, MKL sums in an order that depends on how the result lies, so that gradients would round otherwise than
# autograd's own.
SMALLEST_SIDE = 16


def route(modules: Iterable[nn.Module]) -> None:
    """Let the linear maps among borrowed modules add up their gradients in place."""
    for child in modules:
        if type(child) is nn.Linear and min(child.weight.shape) >= SMALLEST_SIDE:
            # A weak reference: a module in a cycle would wait for the garbage collector.
            vars(child)["forward"] = partial(_forward, ref(child))


def _forward(module: ReferenceType[nn.Linear], input: Tensor) -> Tensor:
    linear = module()
    assert linear is not None  # it is being called
    out: Tensor
    held = linear._parameters  # without the detour that attributes of modules take
    weight = held.get("weight")
    if type(linear) is nn.Linear and weight is not None and "bias" in held and _is_ordinary(input, weight):
        out = _Linear.apply(input, weight, held["bias"])  # type: ignore[no-untyped-call]
    else:  # of another class by now if it was quantized or parametrized
        out = type(linear).forward(linear, input)
    return out


def _is_ordinary(input: Tensor, weight: Tensor) -> bool:
    """Whether this call is one that `_Linear` was written for."""
    return (
        not torch.compiler.is_compiling()  # the first, since compilers cannot look into the others
        and type(weight) is nn.Parameter
        and place_of(weight) is not None
        and weight.requires_grad
        and torch.is_grad_enabled()
        and type(input) is Tensor
        and input.is_cpu
        and input.layout == torch.strided
        and input.ndim >= 2
        and input.dtype == weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and torch._C._get_tracing_state() is None
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


class _Linear(torch.autograd.Function):
    """`F.linear` whose backward adds to the shared gradient what it can, and gives autograd the rest."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, weight if ctx.needs_input_grad[0] else None)
        return F.linear(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        input, weight = ctx.saved_tensors
        to_input, to_weight, to_bias = ctx.needs_input_grad
        nodes = ctx.next_functions  # of the input, the weight and, if there is one, the bias
        gradient = gradient.contiguous()
        of_input = torch.matmul(gradient, weight) if to_input else None
        of_weight = _destination(nodes[1][0], gradient) if to_weight else None
        of_bias = _destination(nodes[2][0], gradient) if to_bias else None
        if isinstance(of_weight, str) or isinstance(of_bias, str):  # then both, which adds up to the same
            rows = _rows(gradient)
            return (
                of_input,
                rows.t().mm(_rows(input)) if of_weight is not None else None,
                rows.sum(0) if of_bias is not None else None,
            )
        products = _products(input, gradient, of_weight, of_bias)
        held = input.numel() + gradient.numel()
        late = waiting(held)
        if late is not None:
            late.leave_products(products, held)
        else:
            for place, compute in products:
                place.add(compute)
        return of_input, None, None


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def _products(
    input: Tensor, gradient: Tensor, of_weight: Place | None, of_bias: Place | None
) -> Iterator[tuple[Place, Compute]]:
    """What belongs where."""
    rows = _rows(gradient)
    if of_weight is not None:
        yield of_weight, partial(torch.mm, rows.t(), _rows(input))
    if of_bias is not None:
        yield of_bias, partial(torch.sum, rows, 0)


def _destination(node: Node, like: Tensor) -> Place | Literal["autograd"] | None:
    """Where the gradient belongs that autograd would accumulate in the leaf of `node`; None if nobody wants it."""
    leaf = getattr(node, "variable", None)
    if leaf is None or (place := place_of(leaf)) is None:  # a bias that somebody computes
        return "autograd"
    try:
        if not torch._C._will_engine_execute_node(node):
            return None
    except RuntimeError:  # `torch.autograd.grad` asks for it
        return "autograd"
    # A hook may want to see or change it, or somebody may have left a gradient there.
    is_watched = leaf._backward_hooks or leaf.grad is not None
    return "autograd" if is_watched or torch.is_grad_enabled() or not place.takes(like) else place
