"""A folder that holds one model, proves itself and names its origin.

Owns what lies in that folder besides what the formats write, what its manifest says, and the check of all of it.  How
the folder comes to stand is `drafts`', digests and seal are `manifest`'s.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import BundleError, ExportError, ParityError, UnknownName
from supernet.export import standalone
from supernet.export.drafts import refused_by_the_disk
from supernet.export.formats.registry import load_format
from supernet.export.manifest import MANIFEST, check_files, lies_beside, read_manifest, write_manifest
from supernet.export.model_card import model_card
from supernet.export.onnx import check_onnx, external_files, rounds_inputs
from supernet.export.parity import ABSOLUTE, RELATIVE, ROUNDED, Parity, check_parity
from supernet.export.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from search_spaces import Architecture
    from supernet.export.card import Number
    from supernet.export.formats.format import Format, Runner
    from supernet.tasks.task import Task

MAIN = "onnx"  # the format that every bundle has: what a front's numbers were measured on
SAMPLES = 8
PREDICT = "predict.py"

_ABOUT = {
    "model.safetensors": "the weights by name, in full precision",
    "config.json": "family, sizes and architecture that rebuild the module in Supernaut; what inputs and classes are",
    "sample_inputs.npy": "real inputs, prepared",
    "sample_outputs.npy": "the logits that PyTorch computed for them, each on its own",
    PREDICT: "predicts with NumPy and ONNX Runtime alone: `python predict.py sample`",
    "README.md": "this page",
    MANIFEST: "SHA-256 of every file, the numbers, and all that is needed to make this again",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a bundle came from; mappings hold what JSON can."""

    study_id: str
    study_name: str
    seed: int
    family: str
    architecture: Architecture
    specification: Mapping[str, Any]  # of the study, as recorded
    recipe: Mapping[str, Any]  # of the retraining
    data: Mapping[str, Any]  # checksum, numbers of samples and classes
    extensions: Mapping[str, str]  # of one's own that it needs: name to "module:object"
    versions: Mapping[str, str]
    commit: str | None  # of Supernaut, where it runs from a checkout
    device: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a check of a bundle found in order."""

    files: int
    formats: Mapping[str, Parity | None]  # against the stored outputs; None: not run, because it runs code
    unlisted: tuple[str, ...]  # what else lies in the folder
    manifest: dict[str, Any]

    @property
    def parity(self) -> Parity:
        """That of the main format."""
        found = self.formats[MAIN]
        assert found is not None
        return found


def write_formats(folder: Path, formats: Sequence[Format], module: nn.Module, task: Task) -> dict[str, tuple[str, ...]]:
    """Write `module` in each format into `folder`; the names of the files by format, the main one first.

    Raises `BundleError` where the disk refuses, and what a format raises.
    """
    written = {}
    for each in formats:
        with _writing():
            written[each.name] = each.write(module, task, folder)
    return written


def write_bundle(
    folder: Path,
    *,
    formats: Sequence[Format],
    written: Mapping[str, tuple[str, ...]],
    module: nn.Module,
    task: Task,
    origin: Origin,
    numbers: Sequence[Number],
    left_out: Mapping[str, str],
) -> None:
    """Add to a draft that holds the files of `formats` everything else, and verify it.

    `left_out` says of formats that were asked for why they do not apply.
    Raises `BundleError` where it cannot be written, `ParityError` where a file and `module` disagree.
    """
    from safetensors.torch import save_model

    from supernet.tasks.task import predict

    with _writing():
        samples = task.validation.read(slice(SAMPLES))[0]
        np.save(folder / "sample_inputs.npy", samples.numpy())
        np.save(folder / "sample_outputs.npy", predict(module, samples).numpy())
        if not (folder / "model.safetensors").exists():
            save_model(module, str(folder / "model.safetensors"))
        entries = {each.name: _entry(folder, each, written[each.name], samples.numpy()) for each in formats}
        config = _config(folder, task, origin, entries)
        _write_json(folder / "config.json", config)
        shutil.copyfile(Path(standalone.__path__[0]) / PREDICT, folder / PREDICT)
        content = {
            "study": {"id": origin.study_id, "name": origin.study_name, "seed": origin.seed},
            "specification": dict(origin.specification),
            "task": {"name": task.name, **origin.data},
            "architecture": {"digest": origin.architecture.digest, "answers": dict(origin.architecture)},
            "recipe": dict(origin.recipe),
            "numbers": [asdict(number) for number in numbers],
            "formats": entries,
            "left_out": dict(left_out),
            "extensions": dict(origin.extensions),
            "device": dict(origin.device),
            "versions": dict(origin.versions),
            "commit": origin.commit,
        }
        card = model_card(content, config, _purposes(entries))
        (folder / "README.md").write_text(card, encoding="utf-8")
        write_manifest(folder, content)
    verify_bundle(folder, run_code=True)  # our own


def verify_bundle(folder: Path, *, run_code: bool = False) -> Verified:
    """Check digests, the ONNX files, and that every format computes the sample outputs.

    Formats that come as code are run only with `run_code`: digests do not say who wrote it.  Needs torch only for
    formats that do.  Raises `BundleError` or `ParityError`, naming the first thing that is wrong.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    for name in manifest["files"]:
        if name.endswith(".onnx"):
            _check_weights(folder / name, manifest["files"])
            check_onnx(folder / name)
    inputs = _read_array(folder / "sample_inputs.npy")
    parities = {}
    for name, entry in formats_of(manifest).items():
        made = _known_format(folder, name)
        parities[name] = None if made.runs_code and not run_code else _check_format(folder, made, entry, inputs)
    listed = {MANIFEST, *manifest["files"]}
    return Verified(
        files=len(manifest["files"]),
        formats=parities,
        unlisted=tuple(sorted(path.name for path in folder.iterdir() if path.name not in listed)),
        manifest=manifest,
    )


def formats_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a manifest says of each format, the main one first.  Raises `BundleError` where it is damaged."""
    if manifest["format"] == 1:
        return {MAIN: {"files": ["model.onnx"], "exact": True, "sample_outputs": "sample_outputs.npy"}}
    formats = manifest.get("formats")
    if not isinstance(formats, dict) or MAIN not in formats:
        raise BundleError(f"the {MANIFEST} is damaged: it does not say which formats there are; export it again.")
    for name, entry in formats.items():
        needed = [*entry["files"], entry["sample_outputs"]] if isinstance(entry, dict) else [None]
        if not needed[:-1] or not set(needed) <= set(manifest["files"]):
            raise BundleError(f"the {MANIFEST} is damaged: it does not list the files of {name!r}; export it again.")
    return {MAIN: formats[MAIN], **formats}


def run_each(run: Runner, inputs: NDArray[Any]) -> NDArray[Any]:
    """Logits, one sample at a time: what a file that rounds its inputs computes depends on the batch."""
    return np.concatenate([run(inputs[row : row + 1]) for row in range(len(inputs))])


def _entry(folder: Path, made: Format, files: Sequence[str], samples: NDArray[Any]) -> dict[str, Any]:
    """What the manifest says of one format.

    One that is not `exact` computes something else than the module: its own outputs are stored, so that damage and
    other processors are noticed.
    """
    outputs = "sample_outputs.npy"
    if not made.exact:
        outputs = f"sample_outputs.{made.name}.npy"
        np.save(folder / outputs, run_each(made.open(folder), samples))
    main = folder / files[0]
    return {
        "files": list(files),
        "bytes": sum((folder / name).stat().st_size for name in files),
        "axes": list(made.axes(folder)),
        "exact": made.exact,
        "rounds_inputs": main.suffix == ".onnx" and rounds_inputs(main),
        "sample_outputs": outputs,
        "about": made.about,
    }


def _config(folder: Path, task: Task, origin: Origin, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What rebuilds the module, and what `predict.py` has to know."""
    example = task.example(1)
    models = {
        name: {
            "file": entry["files"][0],
            "sample_outputs": entry["sample_outputs"],
            "tolerance": _tolerance(entry),
        }
        for name, entry in entries.items()
        if entry["files"][0].endswith(".onnx") and len(Session(folder / entry["files"][0]).example(1)) == 1
    }
    return {
        "family": origin.family,
        "task": task.name,
        "input_shape": list(task.input_shape),
        "inputs": {
            "kind": task.kind,
            "shape": list(task.input_shape),
            "type": str(example.numpy().dtype),
            "vocabulary": task.vocabulary,
        },
        "classes": task.classes,
        "class_names": list(task.class_names),
        "architecture": dict(origin.architecture),
        "models": models,
    }


def _tolerance(entry: Mapping[str, Any]) -> dict[str, float]:
    loose = entry["rounds_inputs"] or not entry["exact"]
    return {"absolute": ABSOLUTE, "relative": RELATIVE, "of_spread": ROUNDED if loose else 0.0}


def _purposes(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What each file is for, in the order in which a person would look at them."""
    found = {}
    for name, entry in entries.items():
        for position, file in enumerate(entry["files"]):
            if file not in _ABOUT:
                found[file] = f"the model as `{name}`" if position == 0 else f"belongs to `{name}`"
        if entry["sample_outputs"] not in _ABOUT:
            found[entry["sample_outputs"]] = f"what `{name}` computed for the sample inputs when it was written"
    return {**found, **_ABOUT}


def _check_weights(path: Path, listed: Mapping[str, Any]) -> None:
    """Raise `BundleError` where an ONNX file keeps weights in a file that is not part of the bundle."""
    for location in external_files(path):
        if not lies_beside(location):
            raise BundleError(f"{path} keeps weights in {location!r}, which does not lie in this folder: refused.")
        if location not in listed:
            raise BundleError(f"{path} keeps weights in {location!r}, which is no file of this bundle: refused.")


def _known_format(folder: Path, name: str) -> Format:
    try:
        return load_format(name)
    except UnknownName as error:
        raise BundleError(f"{folder} holds the format {name!r}, which this Supernaut does not know: {error}") from error


def _check_format(folder: Path, made: Format, entry: Mapping[str, Any], inputs: NDArray[Any]) -> Parity:
    main = folder / entry["files"][0]
    expected = _read_array(folder / entry["sample_outputs"])
    try:
        actual = run_each(made.open(folder), inputs)
    except ExportError as error:
        raise BundleError(f"the model of the bundle does not run: {error}") from error
    loose = not entry["exact"] or (main.suffix == ".onnx" and rounds_inputs(main))
    try:
        return check_parity(expected, actual, str(main), rounds_inputs=loose)
    except ParityError as error:
        if entry["exact"]:
            raise
        raise ParityError(
            f"{main} does not compute here what it computed when it was written: another processor rounds differently, "
            f"or the files do not belong together ({error})"
        ) from error


def _read_array(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"the samples in {path} cannot be read: {error}") from error
    return array


@contextmanager
def _writing() -> Iterator[None]:
    """Turns what a full disk makes of a write into `BundleError`."""
    from safetensors import SafetensorError

    with refused_by_the_disk("the files of the bundle"):
        try:
            yield
        except SafetensorError as error:
            raise BundleError(f"cannot write the files of the bundle: {error}.") from error


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
