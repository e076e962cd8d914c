"""What a checkpoint of training holds of a model, its average and its optimizer: names of tensors, and the way back.

`model.NAME` is a parameter (tied ones once) or buffer as it was trained, `average.NAME` the same tensor averaged over
the steps, where that is asked for, `optimizer.KEY.NAME` what AdamW keeps for a parameter.  A resumed run restores all
of them; whoever uses the trained model gets the average where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from supernet.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from supernet.training.averaging import Average

_KEPT_BY_ADAMW = ("step", "exp_avg", "exp_avg_sq")


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters (tied ones once) and buffers by name, the tensors themselves."""
    return {
        **{name: parameter.detach() for name, parameter in model.named_parameters()},
        **dict(model.named_buffers()),
    }


def collect(model: nn.Module, average: Average | None, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a checkpoint."""
    tensors = untrained(model)
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.tensors.items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    return tensors


def untrained(model: nn.Module) -> dict[str, Tensor]:
    """All tensors of a checkpoint before any training."""
    return {f"model.{name}": tensor for name, tensor in model_state(model).items()}


def put_back(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    average: Average | None,
    optimizer: torch.optim.Optimizer,
    origin: str,
) -> None:
    """Bring model, average and optimizer to where they were.  Raises `CheckpointError` where the model differs."""
    _copy(model_state(model), _named(tensors, "model."), origin)
    if average is not None:
        _copy(average.tensors, _named(tensors, "average."), origin)
    optimizer.state.clear()
    for name, parameter in model.named_parameters():
        for key in _KEPT_BY_ADAMW:
            value = tensors.get(f"optimizer.{key}.{name}")
            if value is not None:
                # The fused optimizer walks through memory: averages must lie in it as the parameter does.
                like = parameter if value.shape == parameter.shape else value
                kept = torch.empty_like(like, dtype=value.dtype, device=parameter.device)
                optimizer.state[parameter][key] = kept.copy_(value)


def restore(model: nn.Module, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Copy the trained model of a checkpoint into `model`, in place: its average where there is one.

    Raises `CheckpointError`, and changes nothing, where it does not fit.
    """
    _copy(model_state(model), _named(tensors, "average.") or _named(tensors, "model."), origin)


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _copy(state: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: str) -> None:
    wrong = [name for name in state.keys() | found.keys() if name not in state or name not in found]
    wrong += [
        name
        for name in state.keys() & found.keys()
        if (state[name].shape, state[name].dtype) != (found[name].shape, found[name].dtype)
    ]
    if wrong:
        raise CheckpointError(f"{origin} belongs to another model: it differs in {', '.join(sorted(wrong)[:4])}.")
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(found[name])
