"""What the server process must never load."""

import subprocess
import sys
from pathlib import Path

from runner.store import Repository

SCRIPT = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from runner.service.app import create_app
client = TestClient(create_app(Path(sys.argv[1])), base_url="http://localhost:8000")
for path in ("/", "/studies/digits", "/studies/digits/front.svg"):
    assert client.get(path).status_code == 200, path
heavy = ("torch", "onnx", "onnxruntime", "optuna", "sklearn", "ray", "fvcore")
print([name for name in heavy if name in sys.modules])
"""


def test_the_server_never_imports_torch(digits: Repository, database: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(database)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
