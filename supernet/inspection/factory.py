"""How a factory behaves: whether it builds the same module each time, alone, from nothing but its argument.

Everything here calls `build` for real and restores whatever it changes outside of the module.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from supernet.inspection.finding import Finding, problem, warning
from supernet.inspection.network import no_network
from supernet.inspection.standard_values import StandardValues, digest_of, output_digest

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet.skeleton import Build


@dataclass(frozen=True, kw_only=True)
class Print:
    """What is compared of two modules: structure, constants, and what they compute with the same weights."""

    parameters: tuple[tuple[str, tuple[int, ...], str, bool], ...]
    buffers: tuple[tuple[str, str], ...]
    outputs: str | None  # None: the module cannot be run

    def difference(self, other: Print) -> str | None:
        """The first thing in which two differ."""
        if self.parameters != other.parameters:
            return _first_difference("the parameters", self.parameters, other.parameters)
        if self.buffers != other.buffers:
            return _first_difference("the buffers", self.buffers, other.buffers)
        return None if self.outputs == other.outputs else "the outputs for the same weights and inputs"


def print_of(module: nn.Module, values: StandardValues, inputs: Tensor, *, training: bool = False) -> Print:
    """Of a module, which gets the standard values."""
    buffers = tuple((name, "meta" if one.is_meta else digest_of(one)) for name, one in module.named_buffers())
    parameters = tuple(
        (name, tuple(one.shape), str(one.dtype), one.requires_grad) for name, one in module.named_parameters()
    )
    outputs = None
    if not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        try:
            outputs = output_digest(values.put_into(module), inputs, training=training)
        except Exception:  # noqa: BLE001  (somebody's forward; that it fails is found and said elsewhere)
            outputs = None
    return Print(parameters=parameters, buffers=buffers, outputs=outputs)


def inspect_factory(
    build: Build, architectures: Sequence[Architecture], values: StandardValues, inputs: Tensor, seed: int
) -> list[Finding]:
    """Build each architecture several times and in another order.  At most one finding of each name."""
    found: dict[str, Finding] = {}
    first: dict[Architecture, Print] = {}
    kept: list[tuple[Architecture, nn.Module]] = []  # the newest two, alive: what they share is seen

    def note(finding: Finding) -> None:
        found.setdefault(finding.name, finding)

    for architecture in architectures:
        where = architecture.to_json()
        one = _built(build, architecture, seed, note)
        if one is None:
            continue
        another = _built(build, architecture, seed, note)
        if another is None:
            continue
        for older_architecture, older in (*kept, (architecture, one)):
            shared = _shared(older, another)
            if shared is not None:
                note(
                    problem(
                        "shared-module",
                        where,
                        f"building {where} returned {shared}, which the module of {older_architecture.to_json()} has "
                        "too: training one would change the other. Make every module and parameter anew in each call.",
                    )
                )
        if _values_of(one) != _values_of(another):
            note(
                warning(
                    "values-not-repeatable",
                    where,
                    f"two calls with {where} and the same torch seed gave other initial values; draw them from torch's "
                    "own generator, so that a study can be repeated.",
                )
            )
        kept = [*kept[-1:], (architecture, another)]
        before, again = print_of(one, values, inputs), print_of(another, values, inputs)
        difference = before.difference(again)
        if difference is not None:
            note(
                problem(
                    "not-repeatable",
                    where,
                    f"two calls with {where} differ in {difference}; a module must follow from the architecture alone.",
                )
            )
        first[architecture] = again
    if "not-repeatable" not in found:
        _in_another_order(build, first, values, inputs, seed, note)
    _random_state(build, architectures, seed, note)
    return list(found.values())


def _in_another_order(
    build: Build,
    first: dict[Architecture, Print],
    values: StandardValues,
    inputs: Tensor,
    seed: int,
    note: Callable[[Finding], None],
) -> None:
    """The same architectures backwards: what a call leaves behind shows in the next."""
    for architecture, before in reversed(first.items()):
        module = _built(build, architecture, seed, note)
        if module is None:
            return
        difference = before.difference(print_of(module, values, inputs))
        if difference is not None:
            where = architecture.to_json()
            note(
                problem(
                    "global-state",
                    where,
                    f"the module of {where} depends on what was built before it: {difference}. Keep no state between "
                    "calls: no globals, no counters, no default arguments that are changed.",
                )
            )
            return


def _built(build: Build, architecture: Architecture, seed: int, note: Callable[[Finding], None]) -> nn.Module | None:
    """The module, what building it did besides being noted; None where it cannot be built."""
    where = architecture.to_json()
    error: Exception | None = None
    module: nn.Module | None = None
    with no_network() as hosts, _settings_restored() as changed, torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        try:
            module = build(architecture)
        except Exception as raised:  # noqa: BLE001  (somebody's code: whatever it raises is the finding)
            error = raised
    if hosts:
        note(
            problem(
                "network",
                where,
                f"building {where} tried to connect to {', '.join(hosts)}; a model must be built from what is on this "
                "machine. Download first, and read from a file; a configuration needs no download at all.",
            )
        )
    for what in changed():
        note(
            problem(
                "global-setting",
                where,
                f"building {where} changed {what}, which all other code in the process uses too; set it back, or pass "
                "dtype and device to the layers.",
            )
        )
    if error is not None and not hosts:
        note(problem("build-failed", where, f"building {where} failed: {type(error).__name__}: {error}"))
    if error is None and not isinstance(module, nn.Module):
        note(
            problem(
                "build-failed", where, f"building {where} returned {type(module).__name__}; it must be an nn.Module."
            )
        )
        return None
    return module


@contextmanager
def _settings_restored() -> Iterator[Callable[[], list[str]]]:
    """Within, torch's global settings may be changed; afterwards they are back, and the changes are known."""
    before = _settings()
    changes: list[str] = []
    try:
        yield lambda: changes
    finally:
        after = _settings()
        changes += [f"{name} from {before[name]} to {after[name]}" for name in before if before[name] != after[name]]
        torch.set_default_dtype(before["the default dtype"])
        torch.set_grad_enabled(before["whether gradients are computed"])
        torch.use_deterministic_algorithms(before["deterministic algorithms"])
        if after["the number of threads"] != before["the number of threads"]:
            torch.set_num_threads(before["the number of threads"])
        if after["the default device"] != before["the default device"]:
            torch.set_default_device(before["the default device"])


def _settings() -> dict[str, Any]:
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "whether gradients are computed": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def _random_state(
    build: Build, architectures: Sequence[Architecture], seed: int, note: Callable[[Finding], None]
) -> None:
    """Torch's generator may be drawn from, but not set; Python's and NumPy's belong to others."""
    for architecture in architectures[:2]:
        where = architecture.to_json()
        python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002  (the state, not a draw)
        ends = []
        try:
            for start in (seed, seed + 1):
                with no_network(), _settings_restored(), torch.random.fork_rng(devices=()):
                    torch.default_generator.manual_seed(start)
                    build(architecture)
                    ends.append(torch.get_rng_state())
            drawn = [
                name
                for name, same in (
                    ("random", random.getstate() == python),
                    ("numpy.random", _same_state(np.random.get_state(legacy=False), numpy)),  # noqa: NPY002
                )
                if not same
            ]
        except Exception:  # noqa: BLE001  (found and said by `_built`)
            return
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
        if torch.equal(*ends):
            note(
                problem(
                    "random-state",
                    where,
                    f"building {where} seeds torch's global generator, so that the same numbers follow whatever the "
                    "study's seed; leave the seed alone, or use a torch.Generator of your own.",
                )
            )
        if drawn:
            note(
                problem(
                    "random-state",
                    where,
                    f"building {where} draws from or seeds the global generator of {' and '.join(drawn)}, which no "
                    "study seeds; use torch's, or one of your own.",
                )
            )


def _same_state(one: Any, other: Any) -> bool:
    return str(one) == str(other) and bool((one["state"]["key"] == other["state"]["key"]).all())


def _shared(one: nn.Module, other: nn.Module) -> str | None:
    """The first module or parameter that both hold, in words."""
    modules = {id(child): path for path, child in one.named_modules()}
    for path, child in other.named_modules():
        if id(child) in modules:
            return f"the module {path!r} ({type(child).__name__})" if path else "a module"
    storages = {parameter.untyped_storage()._cdata for parameter in one.parameters() if not parameter.is_meta}
    for name, parameter in other.named_parameters():
        if not parameter.is_meta and parameter.untyped_storage()._cdata in storages:
            return f"the parameter {name!r}"
    return None


def _values_of(module: nn.Module) -> str:
    return digest_of([parameter for parameter in module.parameters() if not parameter.is_meta])


def _first_difference(what: str, one: Sequence[tuple[Any, ...]], other: Sequence[tuple[Any, ...]]) -> str:
    mine, theirs = {entry[0]: entry for entry in one}, {entry[0]: entry for entry in other}
    for name in (*mine, *theirs):
        if mine.get(name) != theirs.get(name):
            return f"{what} ({name})"
    return what
