"""Bundles as their users meet them: exported in several formats, verified, tampered with, made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.reproduce import compare
from supernet.export.manifest import MANIFEST, _as_written
from tests.integration.studies import UNTIMED, supernaut, write

if TYPE_CHECKING:
    from tests.integration.conftest import Call

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    **UNTIMED,
    "name": "small",
    "search": {"evaluations": 8, "measured_latencies": 8, "workers": "serial"},
    "export": {"formats": ["onnx", "onnx-int8"]},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a complete study."""
    folder = tmp_path_factory.mktemp("bundles")
    done = supernaut(folder / "home", "run", str(write(folder / "small.json", SMALL)), fresh=True)
    assert done.returncode == 0, done.stderr
    return folder / "home"


@pytest.fixture
def bundle(home: Path, tmp_path: Path) -> Path:
    """A copy of its bundle, to be changed."""
    (found,) = (home / "studies").glob("*/bundles/*")
    return Path(shutil.copytree(found, tmp_path / "bundle"))


def change(bundle: Path, **changes: Any) -> None:
    """Change the manifest as someone would who wants to deceive."""
    manifest = {**json.loads((bundle / MANIFEST).read_text()), **changes}
    (bundle / MANIFEST).write_text(_as_written(manifest))


def test_the_manifest_says_how_to_make_it_again(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    assert manifest["specification"]["name"] == "small"
    assert set(manifest["formats"]) == {"onnx", "onnx-int8"}
    assert manifest["recipe"]["steps"] == SMALL["retrain"]["steps"]
    assert len(manifest["recipe"]["trials"]) == 2
    assert manifest["commit"] is None or len(manifest["commit"].removesuffix("-dirty")) == 40
    scored = {(number["format"], number["split"]) for number in manifest["numbers"] if number["metric"] == "error"}
    assert {(None, "validation"), ("onnx", "test"), ("onnx-int8", "test"), ("onnx-int8", "validation")} <= scored
    assert str(bundle.parent) not in (bundle / MANIFEST).read_text()


def test_verify_looks_at_everything(home: Path, bundle: Path, call: Call) -> None:
    code, out, errors = call("--home", home, "verify", bundle, "--output", "json")
    assert code == 0, errors
    told = json.loads(out)
    assert told["verified"]
    states = {check["check"]: check["state"] for check in told["checks"]}
    assert states == {
        "digests": "ok",
        "model": "ok",
        "parity onnx": "ok",
        "parity onnx-int8": "ok",
        "quality onnx": "ok",
        "quality onnx-int8": "ok",
        "latency": "skipped",  # the study did not measure any
    }
    named = call("--home", home, "verify", bundle, "--study", "small")[1]
    assert "as promised" in named
    assert named.rstrip().endswith("verified")


def test_a_byte_changed_in_any_file_is_found_and_named(home: Path, bundle: Path, call: Call) -> None:
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 3] ^= 1
        path.write_bytes(changed)
        code, out, errors = call("--home", home, "verify", bundle, "--output", "json")
        assert code == 6
        assert path.name in errors
        assert not json.loads(out)["verified"]
        path.write_bytes(content)
    assert call("--home", home, "verify", bundle, "--no-quality")[0] == 0


def test_scores_that_the_files_do_not_reach_are_found(home: Path, bundle: Path, call: Call) -> None:
    numbers = json.loads((bundle / MANIFEST).read_text())["numbers"]
    for number in numbers:
        if (number["metric"], number["split"], number["format"]) == ("accuracy", "test", "onnx-int8"):
            number["value"] = min(1.0, number["value"] + 0.2)
    change(bundle, numbers=numbers)
    code, _, errors = call("--home", home, "verify", bundle)
    assert code == 6
    assert "quality onnx-int8" in errors
    assert "not what the manifest promises" in errors


def test_a_format_that_does_not_exist_or_apply_is_refused_before_anything_is_written(
    home: Path, tmp_path: Path, call: Call
) -> None:
    for name, words in (("onnx-int9", "did you mean 'onnx-int8'?"), ("onnx-decode", "does not apply: only models of")):
        code, _, errors = call("--home", home, "export", "small", "knee", "--to", tmp_path / "x", "--format", name)
        assert code == 2
        assert words in errors
        assert not (tmp_path / "x").exists()
        file = write(tmp_path / "study.json", {**SMALL, "name": "other", "export": {"formats": [name]}})
        code, _, errors = call("--home", tmp_path / "home", "run", file)
        assert code == 2
        assert "export.formats" in errors


def test_it_is_made_again_bit_by_bit(home: Path, bundle: Path, tmp_path: Path) -> None:
    done = supernaut(home, "reproduce", str(bundle), "--to", str(tmp_path / "again"), "--output", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bit_equal"]
    assert told["same_device"]
    assert told["differing"] == {}
    assert {score["split"] for score in told["scores"]} == {"validation", "test"}
    assert all(score["bundle"] == score["again"] for score in told["scores"])
    for name in ("model.onnx", "model.safetensors", "sample_outputs.npy"):
        assert (tmp_path / "again" / name).read_bytes() == (bundle / name).read_bytes()
    listed = supernaut(home, "list", "--output", "json")
    assert {study["name"]: study["state"] for study in json.loads(listed.stdout)} == {
        "small": "complete",
        told["study"]: "interrupted",
    }


def test_a_bundle_that_cannot_be_made_again_here_says_why(bundle: Path, call: Call) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())

    def refused(code: int, *words: str, **changes: Any) -> None:
        change(bundle, **{**manifest, **changes})
        answer = call("reproduce", bundle)
        assert answer[0] == code
        for word in words:
            assert word in answer[2]

    refused(4, "SHA-256", "not that of the bundle", task={**manifest["task"], "sha256": "0" * 64})
    refused(3, "supernaut extension allow mine my:thing", extensions={"mine": "my:thing"})
    refused(2, "did not put the study's specification", specification={})
    refused(2, "other version", specification={**manifest["specification"], "novel": 1})
    refused(2, "not of the space", architecture={**manifest["architecture"], "answers": {"width": 5}})
    assert json.loads(call("list", "--output", "json")[1]) == []


def test_a_reproduction_that_scores_otherwise_is_none(
    bundle: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads((bundle / MANIFEST).read_text())
    numbers = [{**number, "value": number["value"] * 2} for number in before["numbers"] if number["metric"] == "loss"]
    found = compare(before, {**before, "numbers": numbers, "commit": "another"}, "again", bundle)
    monkeypatch.setattr("runner.reproduce.reproduce", lambda *_, **__: found)
    code, out, errors = call("reproduce", bundle)
    assert code == 6
    assert "differ by more than is allowed" in errors
    assert "loss (test)" in errors
    assert "another" in out
    assert not json.loads(call("reproduce", bundle, "--output", "json")[1])["reproduced"]
