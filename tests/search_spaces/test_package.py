"""The package imports quickly, without tensor libraries, and exports what it lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import search_spaces

_ROOT = Path(__file__).resolve().parents[2]


def test_import_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, search_spaces; search_spaces.load_space('vision_transformer').size();"
        "print([m for m in ('torch', 'numpy', 'pydantic', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_import_takes_milliseconds() -> None:
    code = "import time; start = time.process_time(); import search_spaces;print(time.process_time() - start)"
    times = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        times.append(float(done.stdout))
    assert min(times) < 0.25  # seconds of the processor; about 0.03 measured


def test_the_real_package_is_under_test() -> None:
    assert Path(search_spaces.__file__).parent == _ROOT / "search_spaces"


def test_everything_listed_exists_and_is_documented() -> None:
    for name in search_spaces.__all__:
        exported = getattr(search_spaces, name)
        assert exported.__doc__, name
