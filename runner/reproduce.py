"""A bundle made again from what its manifest says, and compared with it.

To reproduce is to train the supernet again from the recorded specification and seed, to train the bundle's
architecture on from it with the settings of the trial that was chosen, and to export that.  The search is not
repeated: what it found is the architecture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import Conflict, NotFound, SpecError
from runner.pipeline import submit, train_then
from runner.registered.checksum import data_difference, describe_data
from runner.registered.ledger import read_registered
from runner.registered.resolving import open_family, task_of
from runner.stages.export import default_folder, export_point
from runner.study import parse_study, recorded_spec
from search_spaces import Architecture
from supernet.export.bundle import MAIN, verify_bundle
from supernet.export.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from runner.progress import Reporter, Stop
    from runner.registered.values import Registered
    from runner.settings import Home
    from runner.store.repository import Repository
    from runner.study import StudySpec
    from runner.work import StudyWork

_NAME_CHARACTERS = 40  # of the study's own name
_FRACTIONS = ("error", "accuracy", "eer")
DEVIATIONS = 3.0  # of a difference of two fractions of so many samples
RELATIVE = 0.10  # of every other score


@dataclass(frozen=True, kw_only=True)
class ComparedScore:
    """One score of the bundle and of the one that was made again."""

    metric: str
    split: str
    provenance: str
    bundle: float
    again: float
    allowed: float

    @property
    def within(self) -> bool:
        """Whether they differ by no more than is allowed."""
        return abs(self.bundle - self.again) <= self.allowed


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of it."""

    study: str
    folder: Path
    scores: tuple[ComparedScore, ...]
    bit_equal: bool  # all weights
    same_device: bool
    differing: Mapping[str, tuple[str, str]]  # versions and commit: the bundle's, ours

    @property
    def reproduced(self) -> bool:
        """Whether every score is within its tolerance."""
        return all(score.within for score in self.scores)


def reproduce(
    bundle: Path,
    repository: Repository,
    home: Home,
    reporter: Reporter,
    stop: Stop,
    *,
    name: str | None = None,
    to: Path | None = None,
) -> Reproduction:
    """Make a bundle again as a study named `name` in `home`; the same call goes on where an earlier one was cut off.

    `to` is the folder of the new bundle.  Raises what `verify_bundle` raises, `SpecError` where the bundle or this
    state folder lacks what is needed, `NotFound` for an extension that is not allowed, `Conflict` for other data.
    """
    manifest = verify_bundle(bundle).manifest
    spec = specification_again(manifest, name)
    architecture = Architecture(manifest["architecture"]["answers"])
    _check_here(manifest, spec, architecture, read_registered(home))
    study = submit(spec, repository, home, reporter)

    def make(work: StudyWork) -> Path:
        formats = list(manifest["formats"])
        return export_point(work, architecture, to or default_folder(work, architecture), formats)

    folder = train_then(make, study, repository, home, reporter, stop)
    return compare(manifest, read_manifest(folder), study.name, folder)


def specification_again(manifest: Mapping[str, Any], name: str | None) -> StudySpec:
    """The study that makes a bundle again: as recorded, with the precision and the trial that were chosen.

    Raises `SpecError` for a bundle that does not hold its specification.
    """
    told = manifest.get("specification")
    if not told:
        raise SpecError(
            "this bundle was written by a version that did not put the study's specification into the manifest; "
            "export it again with this one."
        )
    before, digest = manifest["study"]["name"], manifest["architecture"]["digest"]
    recorded = recorded_spec(json.dumps(told), before).model_dump(mode="json")
    recipe = manifest["recipe"]
    retrain = {**recorded["retrain"], "points": ["knee"]}
    # Trials are drawn around the given settings, and may lie beyond what a study can ask for.
    if recipe["learning_rate"] <= 1 and recipe["weight_decay"] <= 1:
        chosen = {"learning_rate": recipe["learning_rate"], "weight_decay": recipe["weight_decay"]}
        retrain = {**retrain, **chosen, "trials": 1}
    changed = {
        "name": name or f"{before[:_NAME_CHARACTERS]}-again-{digest[:8]}",
        "train": {**recorded["train"], "precision": recipe["precision"]},
        "retrain": retrain,
    }
    return parse_study({**recorded, **changed}, "the specification in the manifest")


def _check_here(
    manifest: Mapping[str, Any], spec: StudySpec, architecture: Architecture, registered: Registered
) -> None:
    """Refuse where code or data is not what the bundle was made of, before anything is recorded."""
    for name, target in manifest["extensions"].items():
        entry = registered.extension(name)
        if entry is None:
            raise NotFound(
                f"the bundle needs the extension {name!r} ({target}), which is not allowed here; if you trust it: "
                f"supernaut extension allow {name} {target}"
            )
        if entry.target != target:
            raise Conflict(f"the extension {name!r} is {entry.target} here; the bundle was made with {target}.")
    now, before = describe_data(task_of(spec.task, registered)), manifest["task"]
    if now["sha256"] != before["sha256"]:
        raise Conflict(
            f"the data of the task {spec.task.name!r} is not that of the bundle: {data_difference(before, now)}. "
            "Register the bundle's data under this name, in this state folder or with --home in another."
        )
    if not open_family(spec.space, registered).space.contains(architecture):
        raise SpecError(f"the architecture {architecture.digest} is not of the space that the manifest describes.")


def compare(before: Mapping[str, Any], after: Mapping[str, Any], study: str, folder: Path) -> Reproduction:
    """Two manifests of one architecture."""
    ours = _scores(after)
    scores = tuple(
        ComparedScore(
            metric=metric,
            split=split,
            provenance=provenance,
            bundle=value,
            again=ours[metric, split, provenance],
            allowed=_allowed(metric, value, before["task"]["samples"][split]),
        )
        for (metric, split, provenance), value in _scores(before).items()
        if (metric, split, provenance) in ours
    )
    first = {**before["versions"], "commit": before["commit"] or "none"}
    second = {**after["versions"], "commit": after["commit"] or "none"}
    return Reproduction(
        study=study,
        folder=folder,
        scores=scores,
        bit_equal=before["files"]["model.safetensors"] == after["files"]["model.safetensors"],
        same_device=before["device"]["id"] == after["device"]["id"],
        differing={
            name: (first.get(name, "none"), second.get(name, "none"))
            for name in sorted({*first, *second})
            if first.get(name) != second.get(name)
        },
    )


def _scores(manifest: Mapping[str, Any]) -> dict[tuple[str, str, str], float]:
    """What was measured on the retrained module and on the main file."""
    return {
        (number["metric"], number["split"], number["provenance"]): number["value"]
        for number in manifest["numbers"]
        if number["split"] is not None
        and number["provenance"] in ("retrained", "exported")
        and number["format"] in (None, MAIN)
    }


def _allowed(metric: str, value: float, samples: int) -> float:
    """By how much a score of another training may differ.

    Fractions of N samples: three standard deviations of the difference of two such fractions; others: a tenth.
    """
    if metric not in _FRACTIONS:
        return RELATIVE * abs(value)
    share = min(max(value, 1 / samples), 1 - 1 / samples)
    return DEVIATIONS * math.sqrt(2 * share * (1 - share) / samples)
