"""The structure that imports must keep: one direction between packages, one owner for each heavy library."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "supernet", "predictors", "runner")  # each may import itself and those before it

# Heavy or replaceable libraries, and the only places that may import them.
OWNERS = {
    "sqlalchemy": ("runner/store/",),
    "alembic": ("runner/store/",),
    "fastapi": ("runner/service/",),
    "fsspec": ("runner/store/blobs.py",),
    "optuna": ("runner/search/nsga2.py",),
    "ray": ("runner/parallel/",),
    "onnx": ("supernet/export/onnx.py", "supernet/export/calibrated.py"),
    "onnxruntime": (
        "supernet/export/runtime.py",
        "supernet/export/calibrated.py",
        "supernet/export/formats/decode_example.py",  # stands beside the exported file
        "supernet/export/standalone/predict.py",
    ),
    "sklearn": ("supernet/tasks/digits.py",),
    "fvcore": ("predictors/costs.py",),
    "PIL": ("supernet/tasks/image_files.py",),
    "yaml": ("runner/study.py",),
    "typer": ("runner/cli/",),
    "httpx2": ("runner/client/",),
    "prometheus_client": ("runner/service/metrics.py",),
    "uvicorn": ("runner/cli/serve.py",),
}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """Every module that a file imports anywhere, also inside functions and for type checkers."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def test_there_are_sources_to_check() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in sources()} == set(PACKAGES)


@pytest.mark.parametrize("position", range(len(PACKAGES)), ids=PACKAGES)
def test_imports_go_one_way(position: int) -> None:
    above = PACKAGES[position + 1 :]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        if path.relative_to(ROOT).parts[0] == PACKAGES[position]
        for name in imported(path)
        if name.split(".")[0] in above
    ]
    assert not wrong


@pytest.mark.parametrize("library", OWNERS)
def test_one_owner_for_each_heavy_library(library: str) -> None:
    importers = [
        str(path.relative_to(ROOT)) for path in sources() if library in {name.split(".")[0] for name in imported(path)}
    ]
    assert importers, f"nobody imports {library}; remove it from this list and from the dependencies"
    assert [path for path in importers if not path.startswith(OWNERS[library])] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tests_do_not_shadow_the_packages(package: str) -> None:
    assert Path(str(importlib.import_module(package).__file__)).parent == ROOT / package


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import search_spaces", ("torch", "numpy")),
        ("import supernet, predictors, runner", ("torch", "sqlalchemy", "optuna", "httpx2")),
        ("from runner import Client", ("torch", "sqlalchemy", "optuna", "fastapi", "pandas")),
        ("import runner.cli.main", ("torch", "numpy", "sqlalchemy", "fastapi", "httpx2", "rich.progress")),
        ("import predictors.latency.timing_worker", ("torch",)),
    ],
)
def test_cheap_imports_stay_cheap(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
