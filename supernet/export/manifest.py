"""The manifest of a bundle: which files belong to it, with their digests, and a seal over all that it says.

Owns its formats, how it is written, read and compared with the folder.  What else it says is `bundle`'s.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from supernet.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest.json"
SEAL = "manifest_sha256"
FORMAT = 2  # 1: one ONNX file, neither specification nor recipe nor predict.py

_ALWAYS = (
    "model.onnx",
    "model.safetensors",
    "config.json",
    "sample_inputs.npy",
    "sample_outputs.npy",
    "README.md",
)
REQUIRED: Mapping[int, tuple[str, ...]] = {1: _ALWAYS, 2: (*_ALWAYS, "predict.py")}
"""What a bundle of each format holds at least, the manifest aside."""


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Describe every file of `folder` in a manifest beside them.  Raises `BundleError` for what is no file."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST:
            continue
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path} is no file; a bundle holds nothing else.")
        files[path.name] = describe(path)
    (folder / MANIFEST).write_text(_as_written({"format": FORMAT, **content, "files": files}), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle.  Raises `BundleError` where it is missing, damaged or of a newer format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}.")
    try:
        content = path.read_bytes()
        manifest = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read: {error}; export the bundle again.") from error
    known = manifest.get("format") if isinstance(manifest, dict) else None
    if type(known) is not int or known < 1:
        raise BundleError(f"{path} is damaged: it names no format; export the bundle again.")
    if known > FORMAT:
        raise BundleError(f"{path} has format {known}; this Supernaut reads up to {FORMAT}: upgrade it.")
    # Byte by byte: a space that became a line break would be the same values.
    if content != _as_written(manifest).encode():
        raise BundleError(f"{path} is damaged: it does not match its own digest; export the bundle again.")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not set(REQUIRED[known]) <= set(listed):
        raise BundleError(f"{path} is damaged: it does not list every file of a bundle; export it again.")
    return dict(manifest)


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise `BundleError` for the first file that is not what the manifest says, or lies elsewhere."""
    for name, expected in manifest["files"].items():
        path = folder / name
        if not lies_beside(name):
            raise BundleError(f"{folder / MANIFEST} names {name!r}, which does not lie in this folder: refused.")
        if path.is_symlink():
            raise BundleError(f"{path} is a link; the files of a bundle lie in its folder themselves: refused.")
        if not path.is_file():
            raise BundleError(f"{path} is missing from the bundle; export it again.")
        try:
            actual = describe(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror or error}.") from error
        if actual != expected:
            raise BundleError(f"{path} is damaged: it does not match its SHA-256 in {MANIFEST}; export it again.")


def lies_beside(name: str) -> bool:
    """Whether a name is that of a file in the same folder: no `..`, nothing absolute, no folder in it."""
    return name == PurePosixPath(name).name and name != ".." and not {"\\", "\0"} & set(name)


def describe(path: Path) -> dict[str, Any]:
    """SHA-256 and size of a file."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _as_written(manifest: Mapping[str, Any]) -> str:
    """The text of a manifest, with a digest of everything else in it."""
    content = {name: value for name, value in manifest.items() if name != SEAL}
    seal = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, SEAL: seal}, indent=2, sort_keys=True) + "\n"
