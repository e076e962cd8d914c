"""Run a bundle's own program where nothing can be imported but NumPy, ONNX Runtime and what these need."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ALLOWED = ("numpy", "onnxruntime", "flatbuffers", "packaging")
FORBIDDEN = ("torch", "onnx", "supernet", "search_spaces", "runner", "predictors", "safetensors", "scipy", "sympy")

_START = """
import importlib.util, runpy, sys
sys.path.append(sys.argv[1])
found = [name for name in sys.argv[2].split() if importlib.util.find_spec(name) is not None]
assert not found, f"{found} can be imported"
program, sys.argv = sys.argv[3], sys.argv[3:]
runpy.run_path(program, run_name="__main__")
"""


def linked(folder: Path) -> Path:
    """A folder with links to the allowed packages, to be the only place besides the standard library."""
    folder.mkdir()
    for name in ALLOWED:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        (folder / name).symlink_to(package)
        libraries = package.with_name(f"{name}.libs")
        if libraries.exists():
            (folder / libraries.name).symlink_to(libraries)
    protobuf = importlib.util.find_spec("google.protobuf")
    assert protobuf is not None
    assert protobuf.origin is not None
    (folder / "google").symlink_to(Path(protobuf.origin).parents[1])
    return folder


def run_alone(packages: Path, program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Its answer; -I and -S keep this project and its packages out."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", _START, str(packages), " ".join(FORBIDDEN), str(program), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
