"""Costs that follow from a module's structure: nothing is timed and nothing is guessed.

One multiply-add is one MAC.  Matrix products, convolutions and attention count; normalisation, activation and
element-wise arithmetic count nothing.  An operation that is in neither list raises: it is never silently
free.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from predictors.errors import MissingCost
from supernet.compression import QuantizedLinear, stored_bytes, suspended
from supernet.modes import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """What a module holds."""

    parameters: int  # distinct values in parameters, tied ones once
    model_bytes: int  # parameters and buffers as they are stored, quantized weights with their scales


@dataclass(frozen=True, kw_only=True)
class Cost(ModelSize):
    """What a module holds, and what one forward pass needs for the batch that was given."""

    macs: int  # multiply-adds of one forward pass
    peak_activation_bytes: int  # the most that inputs and intermediate results take at one time, run eagerly


def cost(module: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]) -> Cost:
    """The cost of `module` for these inputs, in evaluation mode (its own mode is restored).

    Raises `MissingCost`, naming the operations, where the module uses one whose multiply-adds are not known.
    """
    inputs = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    size = model_size(module)
    with evaluation_mode(module), suspended(module):  # rounding is a matter of training, not of what is deployed
        return Cost(
            parameters=size.parameters,
            macs=_macs(module, inputs),
            model_bytes=size.model_bytes,
            peak_activation_bytes=_peak_activation_bytes(module, inputs),
        )


def model_size(module: nn.Module) -> ModelSize:
    """The part of `cost` that needs no run and no values: parameters may be on `meta`."""
    return ModelSize(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        model_bytes=sum(t.numel() * t.element_size() for t in (*_unquantized(module), *module.buffers()))
        + sum(stored_bytes(child.weight.shape, child.bits) for child in _quantized(module)),
    )


def _quantized(module: nn.Module) -> list[QuantizedLinear]:
    return [child for child in module.modules() if isinstance(child, QuantizedLinear)]


def _unquantized(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that something holds in full precision; one that is also quantized elsewhere is stored twice."""
    held = {
        id(parameter): parameter
        for child in module.modules()
        for name, parameter in child.named_parameters(recurse=False)
        if not (isinstance(child, QuantizedLinear) and name == "weight")
    }
    return list(held.values())


# Multiply-adds


def _sizes(operand: Any) -> tuple[int, ...]:
    return tuple(operand.type().sizes())


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """q k^T and its product with v: heads * queries * keys * (query width + value width)."""
    query, key, value = (_sizes(operand) for operand in inputs[:3])
    del outputs
    return Counter(attention=math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))


def _product_macs(first: int) -> Callable[[list[Any], list[Any]], Counter[str]]:
    """A matrix product whose left operand is input `first`: outputs * its last axis, also if broadcast."""

    def macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        return Counter(product=math.prod(_sizes(outputs[0])) * _sizes(inputs[first])[-1])

    return macs


def _einsum_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Outputs * the sizes of the axes that both operands have and the output has not."""
    operands, _, result = inputs[0].toIValue().replace(" ", "").partition("->")
    terms = operands.split(",")
    if len(terms) == 1:
        return Counter()
    if len(terms) > 2 or not result or "." in operands:
        raise MissingCost(
            f"einsum({operands!r}) has more than two operands, an ellipsis or no named result, so that its "
            "multiply-adds depend on how torch evaluates it. Write it as products of two operands each."
        )
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, inputs[1].node().inputs(), strict=True):
        sizes.update(zip(term, _sizes(operand), strict=True))
    summed = set(terms[0]) & set(terms[1]) - set(result)
    return Counter(einsum=math.prod(_sizes(outputs[0])) * math.prod(sizes[axis] for axis in summed))


def _recurrent_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Steps * the elements of the matrices: each multiplies an input or a state of every step, or projects a state."""
    del outputs
    # An LSTM has its states in a list, too, before the weights.
    *_, weights = (one.node() for one in inputs if one.node().kind() == "prim::ListConstruct")
    matrices = sum(math.prod(sizes) for sizes in map(_sizes, weights.inputs()) if len(sizes) == 2)
    return Counter(recurrence=math.prod(_sizes(inputs[0])[:-1]) * matrices)


# Operations that multiply and add, and that fvcore does not know or counts for fewer shapes than there are.
# It counts the convolutions.
_COUNTED: Mapping[str, Callable[[list[Any], list[Any]], Counter[str]]] = {
    "aten::scaled_dot_product_attention": _attention_macs,
    "aten::einsum": _einsum_macs,
    **dict.fromkeys(("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"), _recurrent_macs),
    **{f"aten::{name}": _product_macs(0) for name in ("linear", "matmul", "mm", "bmm", "mv", "dot")},
    **{f"aten::{name}": _product_macs(1) for name in ("addmm", "baddbmm", "addmv")},
}

# Operations without multiply-adds in the sense above: data movement, reductions, element-wise functions,
# normalisation.  fvcore counts some of the normalisations; here they are free like every element-wise map.
_FREE = tuple(
    f"aten::{name}"
    for name in (  # noqa: SIM905  (a line a name would fill three pages)
        "abs adaptive_avg_pool1d adaptive_avg_pool2d add add_ alias amax amin __and__ arange argmax "
        "avg_pool1d avg_pool2d batch_norm bitwise_not cat ceil celu chunk clamp clamp_min clone constant_pad_nd "
        "contiguous cos cumsum detach diff div div_ dropout dropout_ elu embedding eq erf exp exp_ expand "
        "expand_as feature_dropout fill_ flatten flip floor full full_like gather ge gelu getitem "
        "group_norm gt hardsigmoid hardswish hardtanh hardtanh_ index index_select instance_norm Int "
        "layer_norm le leaky_relu linalg_vector_norm log log1p log_softmax logical_not logsumexp lt masked_fill "
        "masked_fill_ masked_select max max_pool1d max_pool2d maximum mean min minimum mish mul mul_ "
        "narrow ne neg new_full new_ones new_zeros norm numel ones ones_like __or__ pad permute pow prelu "
        "reciprocal relu relu6 relu6_ relu_ repeat reshape rms_norm roll round rsqrt rsub scalar_tensor "
        "ScalarImplicit scatter select select_copy selu sigmoid sigmoid_ sign silu silu_ sin size slice "
        "softmax softplus split split_with_sizes sqrt square squeeze stack std sub sub_ sum swapaxes t "
        "tanh tanh_ tile to transpose tril triu type_as unbind unflatten unsqueeze upsample_nearest2d "
        "var view view_as where zeros zeros_like "
    ).split()
)


def _macs(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    with warnings.catch_warnings():
        # It scripts functions when it is imported, which torch has deprecated without removing it.
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, inputs)
    # Within "none" it ignores every warning while it traces.
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    analysis.set_op_handle(**dict(_COUNTED))
    analysis.set_op_handle(**dict.fromkeys(_FREE, _nothing))
    with torch.no_grad():
        total = int(analysis.total())
        unknown = sorted(analysis.unsupported_ops())
    if unknown:
        raise MissingCost(
            f"{type(module).__name__} uses {', '.join(unknown)}, whose multiply-adds are not known. Write "
            "the module with others (matrix products, convolutions, scaled_dot_product_attention, "
            "element-wise functions), or add the operation to predictors/costs.py."
        )
    return total


def _nothing(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    del inputs, outputs
    return Counter()


# Memory


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own base class
    """Follows the storages that operations create: how many bytes live now, and the most so far."""

    def __init__(self, ignored: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ignored = {tensor.untyped_storage()._cdata for tensor in ignored}
        self._holders: Counter[int] = Counter()
        self.now = 0
        self.peak = 0

    def hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._ignored:
            return
        if self._holders[key] == 0:
            self.now += size
            self.peak = max(self.peak, self.now)
        self._holders[key] += 1
        weakref.finalize(tensor, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._holders[key] -= 1
        if self._holders[key] == 0:
            self.now -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self.hold(output)
        return outputs


@torch.no_grad()
def _peak_activation_bytes(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    live = _LiveBytes((*module.parameters(), *module.buffers()))
    # Aliases, which go when this function ends: the caller's tensors may live long and be asked about often.
    aliases = [tensor.detach() for tensor in inputs]
    for tensor in aliases:
        live.hold(tensor)
    with live:
        module(*aliases)
    return live.peak
