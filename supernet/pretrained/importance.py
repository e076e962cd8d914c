"""How much units and layers of a network matter, by the size of weights, of activations or of gradients.

- magnitude: the squares of the coupled weights, summed (filters by their norm: Li et al. 2017, "Pruning filters for
  efficient ConvNets", section 3.1, with squares and over all coupled weights);
- activation: mean |activation|, as the tensors that read a unit receive it; of a layer, how much it changes what it is
  given, mean |out - in| over mean |in|;
- gradient: |weight * gradient of the loss| summed over the coupled weights, the first-order effect of setting each to
  zero (Molchanov et al. 2019, "Importance estimation for neural network pruning", section 3, with absolute values).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from supernet.errors import CouplingError, PretrainedError
from supernet.modes import evaluation_mode
from supernet.pretrained.ranked import layers_at
from supernet.skeleton import leaves

if TYPE_CHECKING:
    from supernet.pretrained.calibration import Calibration
    from supernet.pretrained.coupling import Group

Criterion = Literal["magnitude", "activation", "gradient"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)

Side = Literal["input", "output"]

_UNSEEN: dict[Criterion, str] = {
    "magnitude": "since it lists buffers only",
    "activation": "since no linear map, convolution, embedding or normalisation with its parameters is called",
    "gradient": "since none of its parameters is trained",
}


@dataclass(frozen=True)
class Importance:
    """What was found: values along axes of tensors (name, axis), and of layers by path.

    Nothing is known of an axis that is not listed: it belongs to a buffer, or nothing was seen there.
    """

    along: Mapping[tuple[str, int], Tensor]
    layers: Mapping[str, float] = field(default_factory=dict)


def importance_of(
    module: nn.Module,
    criterion: Criterion,
    groups: Sequence[Group],
    ranked: Sequence[str],
    calibration: Calibration,
) -> Importance:
    """The importance of every coupled axis of `module`, and of every layer in the lists at the paths `ranked`.

    Raises `PretrainedError` where the criterion is unknown, needs targets that are missing, or finds values that are
    not finite, and `CouplingError` where nothing is seen of a group's units.
    """
    if criterion not in CRITERIA:
        raise PretrainedError(f"order is one of {', '.join(CRITERIA)}, or None; got {criterion!r}.")
    layers = [f"{path}.{name}" for path in ranked for name, _ in layers_at(module, path).named_children()]
    if criterion == "activation":
        found = _activations(module, groups, layers, calibration)
    else:
        values = _squares(module) if criterion == "magnitude" else _effects(module, calibration)
        found = _of_elements(values, groups, layers)
    for group in groups:
        if not any((member.tensor, member.axis) in found.along for member in group.members):
            raise CouplingError(
                f"{group.name}: nothing is known of its units by {criterion}, {_UNSEEN[criterion]}; use another order."
            )
    wrong = [f"axis {axis} of {name}" for (name, axis), value in found.along.items() if not torch.isfinite(value).all()]
    if wrong:
        raise PretrainedError(
            f"the importance by {criterion} is not finite along {', '.join(wrong[:4])}; look for NaN in the "
            "calibration samples."
        )
    return found


def _squares(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().double().square() for name, parameter in module.named_parameters()}


@torch.inference_mode(False)
def _effects(module: nn.Module, calibration: Calibration) -> dict[str, Tensor]:
    """|weight * gradient|, averaged over the batches, of every parameter that is trained."""
    if not calibration.targets:
        raise PretrainedError("order 'gradient' needs calibration with targets; give them, or use another order.")
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    totals = {name: torch.zeros_like(parameter, dtype=torch.float64) for name, parameter in trained.items()}
    with evaluation_mode(module), torch.enable_grad():
        for inputs, targets in zip(calibration.inputs, calibration.targets, strict=True):
            loss = calibration.loss(module(inputs), targets)
            gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
            for (name, parameter), gradient in zip(trained.items(), gradients, strict=True):
                if gradient is not None:
                    totals[name] += (parameter.detach() * gradient.to_dense()).abs().double()
    return {name: total / len(calibration.inputs) for name, total in totals.items()}


def _of_elements(values: Mapping[str, Tensor], groups: Sequence[Group], layers: Sequence[str]) -> Importance:
    along = {}
    for group in groups:
        for member in group.members:
            value = values.get(member.tensor)
            if value is not None:
                along[member.tensor, member.axis] = _kept(value, member.axis, torch.sum)
    return Importance(
        along,
        {
            layer: float(sum(float(value.sum()) for name, value in values.items() if name.startswith(f"{layer}.")))
            for layer in layers
        },
    )


def _kept(value: Tensor, axis: int, reduce: Callable[..., Tensor]) -> Tensor:
    """One value for each element of an axis."""
    others = [other for other in range(value.ndim) if other != axis % value.ndim]
    return reduce(value, others) if others else value


# Activations


def _activations(
    module: nn.Module, groups: Sequence[Group], layers: Sequence[str], calibration: Calibration
) -> Importance:
    seen: dict[tuple[str, int], list[Tensor]] = defaultdict(list)
    changes: dict[str, list[float]] = defaultdict(list)
    places = {leaf.name: leaf.places for leaf in leaves(module)}
    watched = {
        (member.tensor, member.axis): spots for group in groups for member, spots in _spots(module, group, places)
    }
    with evaluation_mode(module), torch.no_grad(), _watching(module, watched, layers, seen, changes):
        for inputs in calibration.inputs:
            module(inputs)
    for layer in layers:
        if not changes[layer]:
            raise CouplingError(
                f"{layer}: a layer is ranked by activation where it gives a tensor of the shape that it is given; use "
                "another order."
            )
    return Importance(
        {key: torch.stack(values).mean(0) for key, values in seen.items()},
        {layer: sum(values) / len(values) for layer, values in changes.items()},
    )


Spot = tuple[str, Side, int]  # (path of a module, whether its input or its output, the axis that holds the units)


def _spots(
    module: nn.Module, group: Group, places: Mapping[str, tuple[tuple[str, str], ...]]
) -> Iterator[tuple[Any, list[Spot]]]:
    """Where the activations of a group's units are seen: on the way into what reads them, else out of what writes."""
    found: dict[Side, list[tuple[Any, list[Spot]]]] = {"input": [], "output": []}
    for member in group.members:
        for side in ("input", "output"):
            spots: list[Spot] = []
            for path, attribute in places.get(member.tensor, ()):
                where = _where(module.get_submodule(path), attribute, member.axis)
                if where is not None and where[0] == side:
                    spots.append((path, *where))
            if spots:
                found[side].append((member, spots))
    yield from found["input"] or found["output"]


def _where(module: nn.Module, attribute: str, axis: int) -> tuple[Side, int] | None:
    """The side of a module, and its axis, where the units lie that a parameter has along `axis`."""
    if isinstance(module, nn.Linear):
        return ("input", -1) if (attribute, axis) == ("weight", 1) else ("output", -1)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        channels = -len(module.kernel_size) - 1
        if attribute == "weight" and axis == 1:
            return ("input", channels) if module.groups == 1 else None
        return ("output", channels) if axis == 0 else None
    if isinstance(module, nn.Embedding):
        return ("output", -1) if axis == 1 else None
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return ("output", -1) if len(module.normalized_shape) == 1 else None
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return ("output", 1)
    return None


@contextmanager
def _watching(
    module: nn.Module,
    watched: Mapping[tuple[str, int], list[Spot]],
    layers: Sequence[str],
    seen: dict[tuple[str, int], list[Tensor]],
    changes: dict[str, list[float]],
) -> Iterator[None]:
    """Within, calls of `module` leave mean |activation| in `seen` and relative changes by layers in `changes`."""
    handles = []
    for key, spots in watched.items():
        for path, side, axis in spots:

            def look(_: nn.Module, given: Any, out: Any, key: Any = key, side: Side = side, axis: int = axis) -> None:
                value = given[0] if side == "input" else out
                seen[key].append(_kept(value.detach().abs().double(), axis, torch.mean))

            handles.append(module.get_submodule(path).register_forward_hook(look))
    for layer in layers:

        def compare(_: nn.Module, given: Any, out: Any, layer: str = layer) -> None:
            before, after = (value[0] if isinstance(value, tuple) and value else value for value in (given, out))
            if isinstance(before, Tensor) and isinstance(after, Tensor) and before.shape == after.shape:
                change = (after - before).abs().mean() / before.abs().mean().clamp(min=torch.finfo(before.dtype).tiny)
                changes[layer].append(float(change))

        handles.append(module.get_submodule(layer).register_forward_hook(compare))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
