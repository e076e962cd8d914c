"""What the server process must never load."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.store import Repository
from tests.runner.service.callers import ADMIN

SCRIPT = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from runner.service.app import create_app
from runner.service.settings import ServiceSettings
from runner.settings import Home

home, token = Home(Path(sys.argv[1])), sys.argv[2]
app = create_app(ServiceSettings(home=home, location=home.database))
headers = {"Authorization": f"Bearer {token}"}
values = {"study": "digits", "digest": "knee", "job": "0" * 32, "artifact": "0" * 32, "token": "0" * 16}
spec = {"name": "new", "task": {"name": "digits"}, "space": {"name": "vision_transformer"}, "objectives": {"error": {}}}
bodies = {"submit": {"spec": spec}, "create_job": {"kind": "export"}, "change_study": {"desired_state": "running"},
          "change_job": {"desired_state": "cancelled"}, "create_token": {"name": "t", "scopes": ["read"]}}
called = []
with TestClient(app, base_url="http://localhost:8000", headers=headers, raise_server_exceptions=False) as client:
    for path in ("/", "/studies/digits", "/studies/digits/front.svg", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if path.endswith("/events") or method == "delete":
                continue
            body = bodies.get(operation["operationId"], {}) if method in ("post", "patch") else None
            answer = client.request(method, path.format(**values), json=body)
            assert answer.status_code < 500, (path, answer.text)
            called.append(answer.status_code)
assert called.count(200) > 15 and called.count(201) == 3 and called.count(202) == 1, called
heavy = ("torch", "onnx", "onnxruntime", "optuna", "sklearn", "ray", "fvcore", "scipy")
print([name for name in heavy if name in sys.modules])
"""


@pytest.mark.slow
def test_the_server_never_imports_torch(digits: Repository, database: Path) -> None:
    digits.close()
    command = [sys.executable, "-c", SCRIPT, str(database.parent), ADMIN.text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
