"""The OpenAPI document, kept in the repository: `python -m runner.service.openapi > docs/openapi.json` writes it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from runner.service.models import EventDocument, ProblemDocument, Submission

if TYPE_CHECKING:
    from fastapi import FastAPI

_ABOUT = "Neural architecture search as a service. Errors are problems (RFC 9457) with a stable `code`: docs/api.md."
_OPEN = ("/healthz", "/readyz")
_REFERENCE = "#/components/schemas/{model}"


def document_of(app: FastAPI) -> dict[str, Any]:
    """What the application can be asked, as an OpenAPI document.  Made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
        schemas = document["components"]["schemas"]
        for model in (ProblemDocument, EventDocument, Submission):
            schema = model.model_json_schema(ref_template=_REFERENCE)
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        for path, methods in document["paths"].items():
            if path not in _OPEN:
                for operation in methods.values():
                    operation["security"] = [{"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


def main() -> None:
    """Write the document to standard output."""
    from runner.service.app import create_app
    from runner.service.settings import ServiceSettings
    from runner.settings import Home

    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        document = document_of(create_app(ServiceSettings(home=home, location=home.database)))
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
