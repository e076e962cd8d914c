"""Which parts of a module are compressed, and how: from an architecture's answers to the module.

Owns the meaning of the choices that are named after a compression, and the one function that puts it into a module.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from torch import nn

from search_spaces.compression import FULL_PRECISION, WEIGHT_BITS
from supernet.compression.quantize import QuantizedLinear
from supernet.errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from search_spaces import Architecture
    from supernet.skeleton import Build

_BITS = "bits"

# They compute with the weights of the linear maps inside them without calling these.
_READS_WEIGHTS = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a module is compressed.

    `bits` maps the path of a submodule to the bits of the weights of all linear maps in it; "" is the whole module,
    and of several paths the longest counts.
    """

    bits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path, bits in self.bits.items():
            if type(bits) is not int or bits not in WEIGHT_BITS:
                raise CompressionError(
                    f"{path or 'the module'}: weights of {bits!r} bits are unknown; allowed: "
                    f"{', '.join(map(str, WEIGHT_BITS))}."
                )

    @classmethod
    def of(cls, architecture: Architecture) -> Self:
        """What an architecture answers: a choice named "PATH.bits" is about the submodule PATH, "bits" about all."""
        found = {}
        for name, value in architecture.items():
            path, _, last = name.rpartition(".")
            if last == _BITS:
                found[path] = value
        return cls(bits=found)  # type: ignore[arg-type]  # checked above


def apply(module: nn.Module, policy: Policy) -> nn.Module:
    """Compress `module` in place and return it; parameters keep names, values and identity.

    Applying another policy later replaces what this one says about the same linear maps.  Raises `CompressionError`
    for a path that does not exist, holds no linear map, or holds one whose weights are read without calling it.
    """
    for path, bits in sorted(policy.bits.items(), key=lambda item: item[0].count(".") if item[0] else -1):
        part = _submodule(module, path)
        if bits == FULL_PRECISION:
            for child in part.modules():
                if isinstance(child, QuantizedLinear):
                    _restore(child)
            continue
        inside = _linear_maps(part, path)
        if not inside:
            raise CompressionError(
                f"{path or 'the module'} has no linear map (nn.Linear) to store in {bits} bits; remove the choice, or "
                "let it be 32."
            )
        for linear in inside:
            # The class changes, not the module: names, tied parameters and hooks stay what they are.
            linear.__class__ = QuantizedLinear
            vars(linear)[_BITS] = bits
    return module


def compressed(build: Build) -> Build:
    """`build` with what each architecture answers about compression applied to its module."""
    return partial(_build_compressed, build)


def _build_compressed(build: Build, architecture: Architecture) -> nn.Module:
    return apply(build(architecture), Policy.of(architecture))


@contextmanager
def suspended(module: nn.Module) -> Iterator[None]:
    """Within, quantized maps of `module` compute in full precision: for counting what the plain module does."""
    quantized: list[nn.Module] = [child for child in module.modules() if isinstance(child, QuantizedLinear)]
    for child in quantized:
        child.__class__ = nn.Linear
    try:
        yield
    finally:
        for child in quantized:
            child.__class__ = QuantizedLinear


def _submodule(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError:
        raise CompressionError(
            f"a choice of bits names the submodule {path!r}, which {type(module).__name__} does not have; name the "
            "choice after the submodule that it is about."
        ) from None


def _linear_maps(part: nn.Module, path: str) -> list[nn.Linear]:
    """The linear maps in a submodule.  Raises `CompressionError` where one would not compute with rounded weights."""
    found: list[nn.Linear] = []
    for name, child in part.named_modules():
        where = ".".join(word for word in (path, name) if word) or "the module"
        if isinstance(child, _READS_WEIGHTS):
            raise CompressionError(
                f"{where} is a {type(child).__name__}, which computes with weights without calling the layers that "
                "hold them; write the attention with nn.Linear projections, or leave it at 32 bits."
            )
        if isinstance(child, nn.Linear):
            if type(child) not in (nn.Linear, QuantizedLinear):
                raise CompressionError(
                    f"{where} is a {type(child).__name__}, a linear map with a forward of its own; only plain "
                    "nn.Linear can be quantized."
                )
            found.append(child)
    return found


def _restore(linear: nn.Linear) -> None:
    linear.__class__ = nn.Linear
    del vars(linear)[_BITS]
