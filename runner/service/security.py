"""The headers that every answer carries unless it sets its own."""

from __future__ import annotations

import base64
import hashlib

from runner.dashboard.paper import STYLE

_CLOSED = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

PAGE_POLICY = f"{_CLOSED}; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'"
PICTURE_POLICY = f"{_CLOSED}; style-src 'sha256-{_STYLE_DIGEST}'"  # a picture opened as a page of its own
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
