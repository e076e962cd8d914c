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
from supernet.export import manifest as manifests
from supernet.export.bundle import verify_bundle
from supernet.export.manifest import FORMAT, MANIFEST, REQUIRED, describe, read_manifest
from supernet.models.registry import load_builder
from supernet.tasks.task import predict
from tests.supernet.export.conftest import copied, write

if TYPE_CHECKING:
    from supernet.tasks.task import Task
    from tests.supernet.export.conftest import Exported

FILES = REQUIRED[FORMAT]


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    """Change entries of the manifest and seal it anew, as someone would who wants to deceive."""
    manifest = {**json.loads((folder / MANIFEST).read_text()), **changes}
    (folder / MANIFEST).write_text(manifests._as_written(manifest))


def accept(folder: Path, name: str) -> None:
    """Write the digest of a changed file into the manifest."""
    files = json.loads((folder / MANIFEST).read_text())["files"]
    rewrite_manifest(folder, files={**files, name: describe(folder / name)})


@pytest.mark.slow
def test_a_bundle_is_complete_and_verifies(whole_bundle: Path, exported: list[Exported], task: Task) -> None:
    assert {path.name for path in whole_bundle.iterdir()} == {*FILES, MANIFEST}
    found = verify_bundle(whole_bundle)
    assert found.files == len(FILES)
    assert (found.parity.samples, found.parity.decisions_changed) == (bundles.SAMPLES, 0)
    manifest = found.manifest
    assert manifest["format"] == FORMAT
    assert manifest["study"] == {"id": "0123abcd", "name": "first-light", "seed": 3}
    assert manifest["task"]["name"] == "digits"
    assert manifest["task"]["sha256"] == task.checksum()
    assert manifest["task"]["samples"]["test"] == 7
    assert manifest["architecture"]["digest"] == exported[0].architecture.digest
    assert [number["provenance"] for number in manifest["numbers"]] == [
        "inherited",
        "exported",
        "exported",
        "computed",
    ]
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
    with pytest.raises(BundleError, match=r"model\.onnx is a link"):
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
    with pytest.raises(BundleError, match=r"reads up to 2: upgrade"):
        verify_bundle(bundle)


def test_a_changed_number_is_found(bundle: Path) -> None:
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace("0.0312", "0.0012"))
    with pytest.raises(BundleError, match="does not match its own digest"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/../../outside", "sub/file", "..", "a\\\\b", "."])
def test_a_name_outside_the_folder_is_refused(bundle: Path, name: str) -> None:
    outside = bundle.parent / "outside"
    outside.write_text("x")
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    rewrite_manifest(bundle, files={**files, name: describe(outside)})
    with pytest.raises(BundleError, match=r"manifest\.json names .*, which does not lie in this folder: refused"):
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


def test_a_manifest_whose_values_are_the_same_but_not_its_bytes_is_refused(bundle: Path) -> None:
    content = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(content.replace('": ', '":\t', 1))
    with pytest.raises(BundleError, match="does not match its own digest"):
        verify_bundle(bundle)


def keep_weights_in(bundle: Path, location: str) -> None:
    """Let the model name a file with weights, as exporters write it for large ones, and the manifest agree."""
    import onnx

    model = onnx.load(bundle / "model.onnx")
    weight = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    (bundle / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    accept(bundle, "model.onnx")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "sub/weights.bin"])
def test_weights_outside_the_folder_are_refused_by_name(bundle: Path, location: str) -> None:
    keep_weights_in(bundle, location)
    with pytest.raises(BundleError, match=rf"keeps weights in '{re.escape(location)}', which does not lie in this"):
        verify_bundle(bundle)


def test_weights_beside_the_model_must_be_listed_and_no_link(bundle: Path) -> None:
    keep_weights_in(bundle, "weights.bin")
    with pytest.raises(BundleError, match=r"'weights\.bin', which is no file of this bundle"):
        verify_bundle(bundle)
    accept(bundle, "weights.bin")
    verify_bundle(bundle)
    (bundle / "weights.bin").rename(bundle.parent / "weights.bin")
    (bundle / "weights.bin").symlink_to("../weights.bin")
    with pytest.raises(BundleError, match=r"weights\.bin is a link"):
        verify_bundle(bundle)


def test_what_else_lies_there_is_told(bundle: Path) -> None:
    assert verify_bundle(bundle).unlisted == ()
    (bundle / "numpy.py").write_text("what predict.py would import")
    assert verify_bundle(bundle).unlisted == ("numpy.py",)


def test_a_bundle_of_the_first_format_is_verified(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / "predict.py").unlink()
    files = {name: entry for name, entry in manifest["files"].items() if name != "predict.py"}
    kept = {name: manifest[name] for name in ("study", "architecture", "numbers", "device", "versions")}
    old = {**kept, "task": {"name": "digits", "sha256": "0"}, "format": 1, "files": files}
    (bundle / MANIFEST).write_text(manifests._as_written(old))
    found = verify_bundle(bundle)
    assert (found.files, list(found.formats), found.parity.samples) == (6, ["onnx"], 8)
    (bundle / "README.md").write_text("another card")
    with pytest.raises(BundleError, match=r"README\.md is damaged"):
        verify_bundle(bundle)


def test_a_format_that_nobody_knows_is_refused_by_name(bundle: Path) -> None:
    formats = json.loads((bundle / MANIFEST).read_text())["formats"]
    rewrite_manifest(bundle, formats={**formats, "gguf": formats["onnx"]})
    with pytest.raises(BundleError, match="holds the format 'gguf'"):
        verify_bundle(bundle)
    rewrite_manifest(bundle, formats={})
    with pytest.raises(BundleError, match="does not say which formats"):
        verify_bundle(bundle)
    rewrite_manifest(bundle, formats={"onnx": {**formats["onnx"], "files": ["/etc/hostname"]}})
    with pytest.raises(BundleError, match="does not list the files of 'onnx'"):
        verify_bundle(bundle)


def test_a_format_that_computes_something_else_is_held_to_its_own_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: list[Exported], task: Task
) -> None:
    """As one that rounds does: here, what another network of the same shape computes."""
    one = exported[0]
    other = tmp_path / "other.onnx"
    keep = onnx_with_larger_weights(one.path)
    other.write_bytes(keep)
    loose = copied(other, name="onnx-loose", file="loose.onnx", exact=False)
    load = bundles.load_format
    monkeypatch.setattr(bundles, "load_format", lambda name: loose if name == "onnx-loose" else load(name))
    folder = write(tmp_path / "bundle", one, task, formats=(copied(one.path), loose))
    found = verify_bundle(folder)
    assert set(found.formats) == {"onnx", "onnx-loose"}
    assert "sample_outputs.onnx-loose.npy" in found.manifest["files"]
    assert "loose.onnx" in (folder / "README.md").read_text()
    np.save(folder / "sample_outputs.onnx-loose.npy", np.load(folder / "sample_outputs.npy"))
    accept(folder, "sample_outputs.onnx-loose.npy")
    with pytest.raises(ParityError, match=r"loose\.onnx does not compute here what it computed when it was written"):
        verify_bundle(folder)


def onnx_with_larger_weights(path: Path) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim == 2:
            weight.CopyFrom(numpy_helper.from_array(values * np.float32(1.5), weight.name))
    content: bytes = model.SerializeToString()
    return content


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
        if target == bundle and self.name == "new":
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
        write(tmp_path / "bundle", exported[1], task, formats=(copied(exported[0].path),))
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
    with pytest.raises(BundleError, match=r"cannot write the files of the bundle: .*No space left"):
        write(tmp_path / "bundle", exported[1], task)
    assert not any(tmp_path.iterdir())
