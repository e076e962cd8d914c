"""Checkpoints of a training run: written whole or not at all, and never trusted without their digest.

A checkpoint is one safetensors file: tensors by name, and metadata as JSON in the file's own header together
with a SHA-256 over all of it.  This module owns the files of one folder; it does not know what the tensors
mean.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from supernet.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

KEPT = 2  # the newest may turn out to be damaged


@dataclass(frozen=True)
class Checkpoint:
    """A readable checkpoint: where it lay, the step it was made after, and what it holds."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


class Checkpoints:
    """The checkpoints in `folder`.  `on_damaged` hears of each file that is passed over, and why."""

    def __init__(self, folder: Path, *, on_damaged: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self._on_damaged = on_damaged or (lambda message: None)

    def save(
        self, step: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], *, keep: Collection[int] = ()
    ) -> Path:
        """Write a checkpoint and forget all but it, the one before it and those of the steps in `keep`.

        Raises `CheckpointError`.
        """
        path = self._path(step)
        # Copies: safetensors refuses tensors that share memory.
        copies = {
            name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        header = {"step": str(step), "metadata": json.dumps(dict(metadata))}
        header["digest"] = _digest(copies, header)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, save(copies, header))
            self._tidy(path, {self._path(kept) for kept in keep})
        except OSError as error:
            raise CheckpointError(
                f"cannot write the checkpoint {path}: {error.strerror or error}. Earlier ones are untouched; "
                "free space or fix the permissions and run the same command again."
            ) from error
        return path

    def latest(self, *, at_most: int | None = None) -> Checkpoint | None:
        """The newest readable checkpoint, of a step up to `at_most`; None where there is none at all.

        Raises `CheckpointError` where files are present and all of them are damaged.
        """
        files = [path for path in self._files() if at_most is None or path <= self._path(at_most)]
        for path in reversed(files):
            try:
                return _read(path)
            except (SafetensorError, OSError, KeyError, ValueError) as error:
                self._on_damaged(f"checkpoint {path} is damaged ({error}); falling back to an older one")
        if files:
            raise CheckpointError(
                f"all checkpoints in {self.folder} are damaged ({', '.join(path.name for path in files)}). "
                "Delete them to train from the beginning; what was measured so far is kept elsewhere."
            )
        return None

    def steps(self) -> tuple[int, ...]:
        """Of which there are files, ascending; whether they can be read is another matter."""
        return tuple(int(path.stem.removeprefix("step-")) for path in self._files())

    def _tidy(self, newest: Path, kept: Collection[Path]) -> None:
        """Keep `newest`, the one before it and what else is `kept`.

        A later step can only be a damaged file that was passed over, or what training has gone back from; a temporary
        file, what a killed process left.
        """
        files = self._files()
        position = files.index(newest) + 1
        stale = (*files[: max(0, position - KEPT)], *files[position:], *self.folder.glob(".step-*.tmp"))
        for old in stale:
            if old not in kept:
                old.unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, also after a crash, finds the old content or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    if header.get("digest") != _digest(tensors, header):
        raise ValueError("its content does not match its digest")
    return Checkpoint(path, int(header["step"]), tensors, json.loads(header["metadata"]))


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    digest = hashlib.sha256(f"{header['step']} {header['metadata']} ".encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype} ".encode())
        # As bytes, because NumPy has no bfloat16.
        digest.update(tensors[name].cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
