"""Bundles: whole or not at all, and every damage is found."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from search_spaces import Architecture
from supernet.errors import BundleError, ParityError
from supernet.export import bundle as bundles
from supernet.export.bundle import FILES, FORMAT, MANIFEST, read_manifest, verify_bundle, write_bundle
from supernet.models.registry import load_builder
from supernet.tasks.task import predict
from tests.supernet.export.conftest import NUMBERS, Exported, origin_of

if TYPE_CHECKING:
    from supernet.tasks.task import Task


def write(folder: Path, one: Exported, task: Task, **changes: Any) -> Path:
    parts = {
        "onnx_file": one.path,
        "module": one.module,
        "task": task,
        "origin": origin_of(one.architecture),
        "numbers": NUMBERS,
    }
    return write_bundle(folder, **{**parts, **changes})


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    """Change entries of the manifest and seal it anew, as someone would who wants to deceive."""
    manifest = {**json.loads((folder / MANIFEST).read_text()), **changes}
    (folder / MANIFEST).write_text(json.dumps(bundles._sealed(manifest)))


def accept(folder: Path, name: str) -> None:
    """Write the digest of a changed file into the manifest."""
    files = json.loads((folder / MANIFEST).read_text())["files"]
    rewrite_manifest(folder, files={**files, name: bundles._describe(folder / name)})


def test_a_bundle_is_complete_and_verifies(whole_bundle: Path, exported: list[Exported], task: Task) -> None:
    assert {path.name for path in whole_bundle.iterdir()} == {*FILES, MANIFEST}
    found = verify_bundle(whole_bundle)
    assert found.files == len(FILES)
    assert (found.parity.samples, found.parity.decisions_changed) == (bundles.SAMPLES, 0)
    manifest = found.manifest
    assert manifest["format"] == FORMAT
    assert manifest["study"] == {"id": "0123abcd", "name": "first-light", "seed": 3}
    assert manifest["task"] == {"name": "digits", "sha256": task.checksum()}
    assert manifest["architecture"]["digest"] == exported[0].architecture.digest
    assert [number["provenance"] for number in manifest["numbers"]] == ["exported", "exported", "computed"]
    assert all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in manifest["files"].values())
    assert str(Path.cwd()) not in (whole_bundle / MANIFEST).read_text()


def test_permissions_let_others_read(whole_bundle: Path) -> None:
    assert whole_bundle.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in whole_bundle.iterdir())


def test_the_module_can_be_rebuilt_from_it(whole_bundle: Path, exported: list[Exported], task: Task) -> None:
    config = json.loads((whole_bundle / "config.json").read_text())
    module = load_builder(config["family"], task)(Architecture(config["architecture"]))
    module.load_state_dict(load_file(whole_bundle / "model.safetensors"))
    inputs = task.test.inputs[:20]
    assert torch.equal(predict(module, inputs), predict(exported[0].module, inputs))


def test_the_cards_snippet_runs_without_supernaut_or_torch(whole_bundle: Path, task: Task) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (whole_bundle / "README.md").read_text(), re.DOTALL)
    code = snippet + (
        "import sys\nassert 'torch' not in sys.modules\n"
        "assert not any(name.split('.')[0] in ('supernet', 'search_spaces') for name in sys.modules)"
    )
    # -P: this folder's own packages must not be found by accident.
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=whole_bundle, check=True, capture_output=True, text=True
    )
    outputs = np.load(whole_bundle / "sample_outputs.npy")
    assert done.stdout.strip() == str(outputs.argmax(-1))


def test_verifying_needs_no_torch(whole_bundle: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from importlib import import_module\n"
        "import_module('supernet.export.bundle').verify_bundle(Path(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code, str(whole_bundle)], check=True)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("where", [0.0, 0.5, 0.95])
def test_a_flipped_byte_in_any_file_is_found(bundle: Path, name: str, where: float) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[int(where * len(content))] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=re.escape(name)):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_found(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=re.escape(name)):
        verify_bundle(bundle)


def test_a_link_or_a_folder_in_the_place_of_a_file_is_refused(bundle: Path, whole_bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to(whole_bundle / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        verify_bundle(bundle)
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").mkdir()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"format": 1', "[1, 2]", "null", "not json", "\ud800", "[" * 100_000, '{"format": "one"}', "{}"],
)
def test_a_manifest_that_is_none_is_refused(bundle: Path, content: str) -> None:
    (bundle / MANIFEST).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(BundleError, match=r"manifest\.json (is damaged|cannot be read)"):
        verify_bundle(bundle)


def test_a_truncated_manifest_is_refused(bundle: Path) -> None:
    content = (bundle / MANIFEST).read_bytes()
    (bundle / MANIFEST).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        verify_bundle(bundle)


def test_a_newer_format_asks_for_an_upgrade_whatever_else_it_holds(bundle: Path) -> None:
    (bundle / MANIFEST).write_text(json.dumps({"format": FORMAT + 1, "contents": []}))
    with pytest.raises(BundleError, match=r"reads up to 1: upgrade"):
        verify_bundle(bundle)


def test_a_changed_number_is_found(bundle: Path) -> None:
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace("0.0312", "0.0012"))
    with pytest.raises(BundleError, match="does not match its own digest"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/../../outside", "sub/file", ".."])
def test_a_name_outside_the_folder_is_refused(bundle: Path, name: str) -> None:
    outside = bundle.parent / "outside"
    outside.write_text("x")
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    rewrite_manifest(bundle, files={**files, name: bundles._describe(outside)})
    with pytest.raises(BundleError, match=r"does not lie in this folder|is missing"):
        verify_bundle(bundle)


@pytest.mark.parametrize("entry", ["text", None, [], {"sha256": 5}, {"sha256": "0", "bytes": "many"}])
def test_a_file_entry_of_another_form_is_refused(bundle: Path, entry: object) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    rewrite_manifest(bundle, files={**files, "config.json": entry})
    with pytest.raises(BundleError, match=r"config\.json is damaged"):
        verify_bundle(bundle)
    rewrite_manifest(bundle, files=[*files])
    with pytest.raises(BundleError, match="does not list every file"):
        verify_bundle(bundle)


def test_sample_outputs_that_the_model_does_not_compute_are_found(bundle: Path) -> None:
    outputs = np.load(bundle / "sample_outputs.npy")
    np.save(bundle / "sample_outputs.npy", outputs + 0.01)
    accept(bundle, "sample_outputs.npy")
    with pytest.raises(ParityError, match="differs from the PyTorch module"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04K\x01.", np.full(3, None, dtype=object)]
)
def test_samples_that_are_no_array_are_refused(bundle: Path, content: bytes | np.ndarray) -> None:
    """In particular a pickle, which would run code."""
    path = bundle / "sample_inputs.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    accept(bundle, "sample_inputs.npy")
    with pytest.raises(BundleError, match=r"the samples in .*sample_inputs\.npy cannot be read"):
        verify_bundle(bundle)


def test_samples_of_another_shape_are_refused(bundle: Path) -> None:
    np.save(bundle / "sample_inputs.npy", np.zeros((8, 3, 8, 8), np.float32))
    accept(bundle, "sample_inputs.npy")
    with pytest.raises(BundleError, match="does not run"):
        verify_bundle(bundle)


def test_a_model_that_is_none_is_refused_although_its_digest_fits(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"garbage")
    accept(bundle, "model.onnx")
    with pytest.raises(BundleError, match="not a valid ONNX model"):
        verify_bundle(bundle)


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_what_is_no_bundle_says_so(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "folder"
    if what == "empty":
        folder.mkdir()
    elif what == "file":
        folder.write_text("x")
    with pytest.raises(BundleError, match="is no bundle"):
        read_manifest(folder)


# Writing


def test_an_older_bundle_is_replaced(bundle: Path, exported: list[Exported], task: Task) -> None:
    write(bundle, exported[1], task)
    manifest = verify_bundle(bundle).manifest
    assert manifest["architecture"]["digest"] == exported[1].architecture.digest
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_an_empty_folder_and_a_linked_one_are_filled(tmp_path: Path, exported: list[Exported], task: Task) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        write(tmp_path / "link", exported[1], task)
        verify_bundle(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize("what", ["notes", "someone else's manifest", "bundle with notes", "damaged bundle"])
def test_a_folder_with_anything_else_is_refused_and_left_alone(
    bundle: Path, exported: list[Exported], task: Task, what: str
) -> None:
    """Many programs write a manifest.json of their own."""
    if what in ("notes", "someone else's manifest"):
        shutil.rmtree(bundle)
        bundle.mkdir()
    if what == "someone else's manifest":
        (bundle / MANIFEST).write_text('{"name": "an extension", "version": "1"}')
    elif what == "damaged bundle":
        (bundle / MANIFEST).write_text("{")
    else:
        (bundle / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(BundleError, match=r"holds .*; give another folder, or empty this one"):
        write(bundle, exported[1], task)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, exported: list[Exported], task: Task) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="is a file"):
        write(tmp_path / "file", exported[1], task)
    with pytest.raises(BundleError, match="cannot write"):
        write(tmp_path / "file" / "below", exported[1], task)
    assert (tmp_path / "file").read_text() == "mine"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize(
    ("target", "name"), [(shutil, "copyfile"), (np, "save"), (Path, "write_text"), (Path, "rename")]
)
def test_a_failure_midway_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole_bundle: Path,
    exported: list[Exported],
    task: Task,
    replaces: bool,
    target: Any,
    name: str,
) -> None:
    folder = tmp_path / "bundle"
    if replaces:
        shutil.copytree(whole_bundle, folder)
    with monkeypatch.context() as patch:
        patch.setattr(target, name, full)
        with pytest.raises(BundleError, match=r"cannot write .*No space left on device"):
            write(folder, exported[1], task)
    if replaces:
        assert verify_bundle(folder).manifest["architecture"]["digest"] == exported[0].architecture.digest
    assert [path.name for path in tmp_path.iterdir()] == (["bundle"] if replaces else [])


def test_if_the_swap_fails_the_older_bundle_is_put_back(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, exported: list[Exported], task: Task
) -> None:
    rename = Path.rename

    def refuse_the_second(self: Path, target: Path) -> Path:
        if target == bundle and not self.name.endswith(".old"):
            full()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_the_second)
    with pytest.raises(BundleError, match="No space left"):
        write(bundle, exported[1], task)
    assert verify_bundle(bundle).manifest["architecture"]["digest"] == exported[0].architecture.digest
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_file_that_computes_something_else_is_not_packed(
    tmp_path: Path, exported: list[Exported], task: Task
) -> None:
    with pytest.raises(ParityError):
        write(tmp_path / "bundle", exported[1], task, onnx_file=exported[0].path)
    assert not any(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: list[Exported], task: Task
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "bundle", exported[1], task)
    assert not any(tmp_path.iterdir())


def test_safetensors_errors_are_ours_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: list[Exported], task: Task
) -> None:
    import safetensors.torch
    from safetensors import SafetensorError

    def refuse(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_model", refuse)
    with pytest.raises(BundleError, match=r"cannot write the bundle .*No space left"):
        write(tmp_path / "bundle", exported[1], task)
    assert not any(tmp_path.iterdir())
