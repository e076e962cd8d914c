"""How operations read and make tensors: which dimensions of their operands and results are the same axis.

Owns the table of torch's operations (as they reach the dispatcher, the composite ones resolved).  A signature is
written like an einsum: labels for each dimension, equal labels being one axis.  A label may stand for two that are
joined, as the channels of a grouped convolution are.  What an operation computes does not matter here.
"""

# n batch, c input channels, o output channels, g groups, t queries, s keys, d and e features

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Label = str | None  # None: broadcast, so that the place means nothing
Labels = tuple["Label | tuple[str, str]", ...]

# They move elements and compute nothing: what they do to the values, they do to the numbers of the elements.
MOVES = frozenset(
    (
        *("alias", "as_strided", "clone", "contiguous", "detach", "lift_fresh", "_to_copy"),
        *("view", "view_copy", "_unsafe_view", "_reshape_alias", "reshape", "squeeze", "unsqueeze", "expand"),
        *("permute", "permute_copy", "t", "transpose", "flip", "roll", "diagonal", "pixel_shuffle", "unfold"),
        *("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk", "unbind"),
        *("select", "slice", "slice_copy", "index", "index_select", "cat", "stack", "repeat", "repeat_interleave"),
        *("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
    )
)


@dataclass(frozen=True)
class Signature:
    """The labels of each operand that counts and of each result.

    `sizes` are those of labels that no operand shows by itself; `kernels` are the labels of a convolution's kernel,
    `repeated` those along which the operation repeats another operand.
    """

    kind: str
    operands: tuple[tuple[Tensor, Labels], ...]
    results: tuple[tuple[Tensor, Labels], ...]
    sizes: dict[str, int]
    kernels: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()


def signature(name: str, args: Sequence[Any], kwargs: dict[str, Any], output: object) -> Signature | None:
    """Of one call of the operation `name`; None where it is not known.

    What returns a tensor of the broadcast shape of its operands is taken to work on each element, or, like a
    normalisation or a softmax, along an axis that stays what it is.
    """
    results = [one for one in tree_leaves(output) if isinstance(one, Tensor)]
    if not results:
        return Signature(name, (), (), {})
    given = [one for one in args if isinstance(one, Tensor)]
    if name in _TABLE:
        return _TABLE[name](name, list(args), kwargs, results)
    if name.startswith("_scaled_dot_product"):
        return _attention(name, list(args), kwargs, results)
    return _elementwise(given, results)


def _elementwise(given: list[Tensor], results: list[Tensor]) -> Signature | None:
    shape = results[0].shape
    try:
        broadcast = torch.broadcast_shapes(*(one.shape for one in given))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None
    if broadcast != shape or not given:
        return None
    labels = tuple(f"x{axis}" for axis in range(len(shape)))
    operands = []
    for one in given:
        own = labels[len(labels) - one.dim() :]
        matched = zip(own, one.shape, shape[len(labels) - one.dim() :], strict=True)
        operands.append((one, tuple(label if size == full else None for label, size, full in matched)))
    return Signature("elementwise", tuple(operands), ((results[0], labels),), {})


def _product(*patterns: str) -> Callable[..., Signature]:
    """Operands in the order of the arguments, then the result; an empty pattern leaves an argument out."""

    def of(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
        del kwargs
        kind = "product"
        operands = []
        for argument, pattern in zip(args, patterns[:-1], strict=False):
            if isinstance(argument, Tensor) and pattern:
                labels = tuple(pattern)[len(pattern) - argument.dim() :]
                operands.append((argument, labels))
        result = tuple(patterns[-1])
        sizes = dict(zip(result, results[0].shape, strict=True))
        matched = tuple(
            (
                one,
                tuple(
                    None if size == 1 and sizes.get(label, 1) > 1 else label
                    for label, size in zip(labels, one.shape, strict=True)
                ),
            )
            for one, labels in operands
        )
        del name
        return Signature(kind, matched, ((results[0], result),), {})

    return of


def _linear(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    del name, kwargs
    inputs, weight = args[:2]
    outer = tuple(f"x{axis}" for axis in range(inputs.dim() - 1))
    operands: list[tuple[Tensor, Labels]] = [(inputs, (*outer, "c")), (weight, ("o", "c"))]
    if len(args) > 2 and args[2] is not None:
        operands.append((args[2], ("o",)))
    return Signature("product", tuple(operands), ((results[0], (*outer, "o")),), {})


def _convolution(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    del name, kwargs
    inputs, weight, bias = args[:3]
    transposed, groups = bool(args[6]), int(args[8])
    spatial = tuple(f"i{axis}" for axis in range(inputs.dim() - 2))
    outer = tuple(f"j{axis}" for axis in range(inputs.dim() - 2))
    kernel = tuple(f"k{axis}" for axis in range(inputs.dim() - 2))
    sizes = {"g": groups}
    into: str | tuple[str, str] = "c"
    out: str | tuple[str, str] = "o"
    if groups > 1:
        # One channel a group: the group is the channel.
        into = "g" if inputs.shape[1] == groups else ("g", "c")
        out = "g" if results[0].shape[1] == groups else ("g", "o")
    joined, other = (into, "o") if transposed else (out, "c")
    if groups > 1 and weight.shape[1] == 1:
        other = "one"
    operands: list[tuple[Tensor, Labels]] = [(inputs, ("n", into, *spatial)), (weight, (joined, other, *kernel))]
    if bias is not None:
        operands.append((bias, (out,)))
    return Signature("convolution", tuple(operands), ((results[0], ("n", out, *outer)),), sizes, frozenset(kernel))


def _embedding(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    del name, kwargs
    outer = tuple(f"x{axis}" for axis in range(args[1].dim()))
    return Signature("embedding", ((args[0], ("v", "d")),), ((results[0], (*outer, "d")),), {})


def _channelwise(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    """Normalisations whose parameters are about dimension 1."""
    del name, kwargs
    labels = ("n", "c", *(f"x{axis}" for axis in range(args[0].dim() - 2)))
    operands = [(args[0], labels)]
    operands += [(one, ("c",)) for one in args[1:] if isinstance(one, Tensor) and one.shape == args[0].shape[1:2]]
    return Signature("elementwise", tuple(operands), ((results[0], labels),), {})


def _pooling(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    """The last dimensions change; as many as the result has beyond those that are the same."""
    del name, kwargs
    inputs, outer = args[0], results[0].dim() - 2
    return Signature(
        "pooling",
        ((inputs, ("n", "c", *(f"i{axis}" for axis in range(inputs.dim() - 2)))),),
        ((results[0], ("n", "c", *(f"j{axis}" for axis in range(outer)))),),
        {},
    )


def _reduction(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature | None:
    inputs = args[0]
    given = kwargs.get("dim", args[_DIMENSIONS.get(name, 1)] if len(args) > _DIMENSIONS.get(name, 1) else None)
    chosen = range(inputs.dim()) if given is None or given == [] else ([given] if isinstance(given, int) else given)
    gone = {axis % max(1, inputs.dim()) for axis in chosen}
    labels = tuple(f"x{axis}" for axis in range(inputs.dim()))
    kept: Labels = tuple(label for axis, label in enumerate(labels) if axis not in gone)
    if results[0].dim() == inputs.dim():
        kept = tuple(f"r{axis}" if axis in gone else label for axis, label in enumerate(labels))
    if len(kept) != results[0].dim():
        return None
    return Signature("reduction", ((inputs, labels),), ((results[0], kept),), {})


def _attention(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    del name, kwargs
    query, key, value = args[:3]
    outer = tuple(f"x{axis}" for axis in range(query.dim() - 2))
    keyed = tuple(
        label if size == full else f"y{axis}"
        for axis, (label, size, full) in enumerate(zip(outer, key.shape, query.shape, strict=False))
    )
    return Signature(
        "attention",
        ((query, (*outer, "t", "d")), (key, (*keyed, "s", "d")), (value, (*keyed, "s", "e"))),
        ((results[0], (*outer, "t", "e")),),
        {},
        repeated=frozenset(label for label, own in zip(outer, keyed, strict=True) if label != own),
    )


def _recurrent(name: str, args: list[Any], kwargs: dict[str, Any], results: list[Tensor]) -> Signature:
    """One direction of one layer of an LSTM: rows of gates, one block of hidden features for each gate."""
    del name, kwargs
    inputs, from_input, from_hidden, *biases = args[:5]
    rows = ("g", "h")
    operands: list[tuple[Tensor, Labels]] = [(inputs, ("t", "n", "c")), (from_input, (rows, "c"))]
    operands += [(from_hidden, (rows, "h")), *((bias, (rows,)) for bias in biases)]
    gates = from_hidden.shape[0] // from_hidden.shape[1]
    return Signature("recurrent", tuple(operands), ((results[0], ("t", "n", "h")),), {"g": gates})


_DIMENSIONS = {"linalg_vector_norm": 2, "norm": 2}  # where the argument `dim` stands, if not second

_TABLE: dict[str, Callable[..., Signature | None]] = {
    "mm": _product("tc", "co", "to"),
    "addmm": _product("to", "tc", "co", "to"),
    "bmm": _product("ntc", "nco", "nto"),
    "baddbmm": _product("nto", "ntc", "nco", "nto"),
    "mv": _product("oc", "c", "o"),
    "addmv": _product("o", "oc", "c", "o"),
    "linear": _linear,
    "convolution": _convolution,
    "embedding": _embedding,
    "mkldnn_rnn_layer": _recurrent,
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
            "_batch_norm_with_update",
            "_batch_norm_no_update",
            "native_group_norm",
            "_prelu_kernel",
        ),
        _channelwise,
    ),
    **dict.fromkeys(
        (
            "avg_pool1d",
            "avg_pool2d",
            "max_pool2d_with_indices",
            "_adaptive_avg_pool2d",
            "adaptive_max_pool2d",
            "upsample_nearest1d",
            "upsample_nearest2d",
            "upsample_bilinear2d",
        ),
        _pooling,
    ),
    **dict.fromkeys(
        (
            "mean",
            "sum",
            "amax",
            "amin",
            "var",
            "std",
            "var_mean",
            "logsumexp",
            "linalg_vector_norm",
            "norm",
            "argmax",
            "max",
            "min",
            "prod",
        ),
        _reduction,
    ),
}
