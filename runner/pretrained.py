"""What the shared weights of a study begin with where the study names a pretrained model.

Owns how that model is found, tried and recorded, and how its weights reach a training.  What an order by importance is,
`supernet.pretrained` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from runner.errors import Conflict, SpecError
from runner.registered.extensions import foreign_code
from runner.registered.named import registered_path
from runner.scoring import train_config
from supernet.errors import PretrainedError, SupernetError
from supernet.pretrained.calibration import Calibration
from supernet.pretrained.coupling import Coupling, find_groups
from supernet.pretrained.files import WeightsFile, read_weights
from supernet.pretrained.matching import Trained, matched
from supernet.pretrained.ranked import LayerRanks, layers_at
from supernet.pretrained.start import Ordering, Start, start
from supernet.skeleton import build_real
from supernet.training.loop import batch_of
from supernet.training.supernet import RECALIBRATION_BATCHES

if TYPE_CHECKING:
    from runner.validation import Plan
    from runner.work import StudyWork
    from supernet.training.checkpoint import Checkpoints

PRETRAINED_EVENT = "train.pretrained"

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def open_pretrained(planned: Plan) -> WeightsFile | None:
    """The pretrained weights that the study names, if any, tried on its largest architecture.

    Raises `SpecError` or `NotFound`.
    """
    train = planned.spec.train
    if train.pretrained is None:
        return None
    path = registered_path(
        "train.pretrained", train.pretrained, planned.registered, "the weights of a model, a safetensors file"
    )
    with _named("train.pretrained"):
        file = read_weights(Path(path))
        largest = build_real(planned.build, planned.space.largest(), planned.spec.seed)
        trained = matched(file.tensors, largest)
        _check_buffers(trained, largest)
    if train.order != "none":
        with _named("train.order"):
            groups = find_groups(_couplings(planned), trained.shapes, trained.tied)
            if not groups and not train.order_layers:
                raise SpecError(
                    f"train.order: the family {planned.family.name!r} does not say what can be ordered in its largest "
                    "architecture; leave it out, or give the family couplings."
                )
    if train.order_layers:
        with _named("train.order_layers"):
            _layer_lists(planned, largest)
    return file


def begin_pretrained(work: StudyWork, checkpoints: Checkpoints) -> None:
    """Bring the pretrained weights into the study's, unless a checkpoint holds what was made of them already.

    Raises what `open_pretrained` raises, and `Conflict` where it is another file than the one with which this began.
    """
    file = open_pretrained(work.plan)
    if file is None:
        return
    recorded = _recorded(work)
    if recorded is not None and recorded["sha256"] != file.sha256:
        raise Conflict(
            f"the pretrained weights {file.path} are not those with which the training of {work.study.name!r} began "
            f"(SHA-256 {file.sha256[:16]}, not {recorded['sha256'][:16]}). Put those back and run the same command "
            "again, or start a study under a new name."
        )
    if recorded is not None and checkpoints.latest() is not None:
        return
    begun = _start(work.plan, file)
    now = _described(work, file, begun)
    if now != recorded:
        work.commit(lambda: work.repository.add_event(work.study.id, PRETRAINED_EVENT, now))
    work.reporter.note(_in_words(now))
    with torch.no_grad():
        for name, parameter in work.weights.named_parameters():
            parameter.copy_(begun.values[name])


def recorded_ranks(work: StudyWork) -> LayerRanks:
    """The ranks of layers with which the shared weights of a study were begun."""
    recorded = _recorded(work)
    return () if recorded is None else tuple((path, tuple(places)) for path, places in recorded["layers"].items())


def _recorded(work: StudyWork) -> dict[str, Any] | None:
    """What the record says of the start: the newest word, since a process may have ended before it could be used."""
    events = work.repository.events(work.study.id)
    return next((dict(event.payload) for event in reversed(events) if event.kind == PRETRAINED_EVENT), None)


def _start(planned: Plan, file: WeightsFile) -> Start:
    train = planned.spec.train
    ordering = None
    with _named("train.pretrained" if train.order == "none" else "train.order"):
        if train.order != "none":
            config = train_config(planned.spec)
            batches = [batch_of(planned.task, step, config) for step in range(RECALIBRATION_BATCHES)]
            largest = build_real(planned.build, planned.space.largest(), planned.spec.seed)
            ordering = Ordering(
                by=train.order,
                calibration=Calibration(
                    inputs=tuple(inputs for inputs, _ in batches), targets=tuple(targets for _, targets in batches)
                ),
                couplings=_couplings(planned),
                layers=_layer_lists(planned, largest) if train.order_layers else (),
            )
        return start(
            file.tensors,
            planned.build,
            planned.space,
            layouts=planned.layouts,
            ordering=ordering,
            seed=planned.spec.seed,
        )


def _couplings(planned: Plan) -> Sequence[Coupling]:
    couplings = planned.family.couplings
    if not callable(couplings):
        return couplings
    entry = planned.registered.extension(planned.family.name)
    if entry is None:
        return couplings(planned.space.largest())
    with foreign_code(entry, "listing its couplings", passing=(SupernetError,)):
        return couplings(planned.space.largest())


def _layer_lists(planned: Plan, largest: nn.Module) -> tuple[str, ...]:
    """The lists of layers that this family may rank.  Raises `SpecError` where there are none."""
    patterns = planned.family.residual_layers
    found = tuple(
        path for path, _ in largest.named_modules() if any(fnmatchcase(path, pattern) for pattern in patterns)
    )
    if not found:
        raise SpecError(
            f"train.order_layers: the family {planned.family.name!r} has no layers that can be ranked (each adds to "
            "what it is given, and all are of one kind); leave it out."
        )
    for path in found:
        layers_at(largest, path)
    return found


def _check_buffers(trained: Trained, largest: nn.Module) -> None:
    """Refuse values that the study would lose: of buffers, shared weights keep none."""
    own = dict(largest.named_buffers())
    lost = [
        name
        for name, value in trained.buffers.items()
        if name.rpartition(".")[2] not in _STATISTICS and name in own and not torch.equal(own[name].cpu(), value)
    ]
    if lost:
        raise PretrainedError(
            f"it has other values in the buffers {', '.join(lost[:4])} than build gives, and a study keeps no buffers "
            "(running statistics are recalibrated). Let build give these values, or make them parameters."
        )


@contextmanager
def _named(field: str) -> Iterator[None]:
    """What a pretrained model is refused for is a matter of the specification."""
    try:
        yield
    except PretrainedError as error:
        raise SpecError(f"{field}: {error}") from error


def _described(work: StudyWork, file: WeightsFile, begun: Start) -> dict[str, Any]:
    train = work.spec.train
    kinds = sorted({str(kind).removeprefix("torch.") for kind in begun.cast.values()})
    return {
        "name": train.pretrained,
        "sha256": file.sha256,
        "order": train.order,
        "ordered": list(begun.ordered),
        "layers": {path: list(places) for path, places in begun.ranks},
        "cast": {"parameters": len(begun.cast), "from": kinds},
    }


def _in_words(started: dict[str, Any]) -> str:
    parts = [f"begun from the pretrained weights {started['name']} (SHA-256 {started['sha256'][:16]})"]
    if started["order"] != "none":
        layers = f" and the layers at {', '.join(started['layers'])}" if started["layers"] else ""
        parts.append(f"{len(started['ordered'])} groups of units{layers} ordered by {started['order']}")
    if started["cast"]["parameters"]:
        parts.append(f"{started['cast']['parameters']} parameters cast from {', '.join(started['cast']['from'])}")
    return "; ".join(parts)
