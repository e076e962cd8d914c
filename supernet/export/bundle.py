"""A folder that holds one model, proves itself and names its origin.

Owns the layout of that folder: which files there are, the manifest with their digests, and the check of all
of it.  The folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import BundleError, ExportError
from supernet.export.card import Number, model_card
from supernet.export.onnx import check_onnx, rounds_inputs
from supernet.export.parity import Parity, check_parity
from supernet.export.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from search_spaces import Architecture
    from supernet.tasks.task import Task

MANIFEST = "manifest.json"
SEAL = "manifest_sha256"
FORMAT = 1
SAMPLES = 8

FILES: Mapping[str, str] = {
    "model.onnx": "the model, weights inside, free batch size",
    "model.safetensors": "the weights by name, in full precision",
    "config.json": "family, sizes and architecture that rebuild the module in Supernaut",
    "sample_inputs.npy": "real inputs",
    "sample_outputs.npy": "the logits that PyTorch computed for them, each on its own",
    "README.md": "this page",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a bundle came from."""

    study_id: str
    study_name: str
    seed: int
    family: str
    architecture: Architecture
    versions: Mapping[str, str]
    device: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a check of a bundle found in order."""

    files: int
    parity: Parity
    manifest: dict[str, Any]


def write_bundle(
    folder: Path, *, onnx_file: Path, module: nn.Module, task: Task, origin: Origin, numbers: Sequence[Number]
) -> Path:
    """Pack `module`, whose file is `onnx_file`, into `folder`: a new one, an empty one or an older bundle.

    Raises `BundleError` where the folder holds anything else or cannot be written, `ParityError` where file
    and module disagree.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_model

    from supernet.tasks.task import predict

    folder = folder.resolve()
    try:
        refuse_foreign(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise BundleError(f"cannot write into {folder.parent}: {error.strerror or error}.") from error
    try:
        samples, _ = task.validation.read(slice(SAMPLES))
        shutil.copyfile(onnx_file, scratch / "model.onnx")
        save_model(module, str(scratch / "model.safetensors"))
        config = {
            "family": origin.family,
            "task": task.name,
            "input_shape": list(task.input_shape),
            "classes": task.classes,
            "architecture": dict(origin.architecture),
        }
        _write_json(scratch / "config.json", config)
        np.save(scratch / "sample_inputs.npy", samples.numpy())
        np.save(scratch / "sample_outputs.npy", predict(module, samples).numpy())
        card = model_card(
            title=f"{origin.study_name}: {origin.architecture.digest}",
            task=task.name,
            task_checksum=task.checksum(),
            study=origin.study_name,
            architecture=origin.architecture,
            numbers=numbers,
            input_shape=task.input_shape,
            files=FILES,
            rounds_inputs=rounds_inputs(onnx_file),
        )
        (scratch / "README.md").write_text(card, encoding="utf-8")
        _write_json(
            scratch / MANIFEST,
            _sealed(
                {
                    "format": FORMAT,
                    "study": {"id": origin.study_id, "name": origin.study_name, "seed": origin.seed},
                    "task": {"name": task.name, "sha256": task.checksum()},
                    "architecture": {
                        "digest": origin.architecture.digest,
                        "answers": dict(origin.architecture),
                    },
                    "numbers": [asdict(number) for number in numbers],
                    "device": dict(origin.device),
                    "versions": dict(origin.versions),
                    "files": {name: _describe(scratch / name) for name in FILES},
                }
            ),
        )
        verify_bundle(scratch)
        _replace_folder(scratch, folder)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"cannot write the bundle {folder}: {getattr(error, 'strerror', None) or error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def verify_bundle(folder: Path) -> Verified:
    """Check digests, the ONNX file, and that it computes the sample outputs.  Needs no torch.

    Raises `BundleError` or `ParityError`, naming the first thing that is wrong.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest["files"].items():
        _check_file(folder, name, expected)
    model = folder / "model.onnx"
    check_onnx(model)
    inputs, outputs = (_read_array(folder / f"sample_{what}.npy") for what in ("inputs", "outputs"))
    try:
        actual = Session(model).run_each(inputs)
    except ExportError as error:
        raise BundleError(f"the model of the bundle does not run: {error}") from error
    parity = check_parity(outputs, actual, str(model), rounds_inputs=rounds_inputs(model))
    return Verified(files=len(manifest["files"]), parity=parity, manifest=manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle.  Raises `BundleError` where it is missing, damaged or of a newer format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read: {error}; export the bundle again.") from error
    known = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(known, int):
        raise BundleError(f"{path} is damaged: it names no format; export the bundle again.")
    if known > FORMAT:
        raise BundleError(f"{path} has format {known}; this Supernaut reads up to {FORMAT}: upgrade it.")
    if manifest != _sealed(manifest):
        raise BundleError(f"{path} is damaged: it does not match its own digest; export the bundle again.")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not set(FILES) <= set(listed):
        raise BundleError(f"{path} is damaged: it does not list every file of a bundle; export it again.")
    return dict(manifest)


def _sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with a digest of everything else in it."""
    content = {name: value for name, value in manifest.items() if name != SEAL}
    return {**content, SEAL: hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def _check_file(folder: Path, name: str, expected: Any) -> None:
    path = folder / name
    if Path(name).name != name:
        raise BundleError(f"{folder / MANIFEST} names {name!r}, which does not lie in this folder.")
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"{path} is missing from the bundle; export it again.")
    try:
        actual = _describe(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}.") from error
    if actual != expected:
        raise BundleError(f"{path} is damaged: it does not match its SHA-256 in {MANIFEST}; export it again.")


def _read_array(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"the samples in {path} cannot be read: {error}") from error
    return array


def refuse_foreign(folder: Path) -> None:
    """Raise `BundleError` where a bundle may not be written: into anything but a new folder or an older bundle.

    A manifest.json alone does not make one: many other programs write such a file too.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(f"{folder} is a file; give a folder that is new or empty.")
    found = {path.name for path in folder.iterdir()}
    if not found:
        return
    remedy = "give another folder, or empty this one"
    try:
        known = {MANIFEST, *FILES, *read_manifest(folder)["files"]}
    except BundleError as error:
        raise BundleError(f"{folder} holds something else than a readable bundle; {remedy}. ({error})") from error
    if found - known:
        raise BundleError(f"{folder} holds {min(found - known)!r}, which belongs to no bundle; {remedy}.")


def _describe(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _replace_folder(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; an older bundle there is removed only after the swap."""
    for path in new.iterdir():
        path.chmod(0o644)  # safetensors would keep its file to this user
    new.chmod(0o755)
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)
