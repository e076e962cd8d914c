"""Where Chromium is, and how it is started: the same for tests, benchmarks and pictures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REMEDY = "run `make test`, which brings one, or set SUPERNAUT_CHROMIUM to its path"


class NoChromium(RuntimeError):
    """There is none on this machine."""


def launched(playwright: Playwright, *flags: str) -> Browser:
    """A browser without a window.  Raises `NoChromium`, with the remedy."""
    named = os.environ.get("SUPERNAUT_CHROMIUM")
    own = playwright.chromium.executable_path
    for path in (named, *map(shutil.which, ("chromium", "chromium-browser", "google-chrome")), own):
        if path and Path(path).exists():
            return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
    raise NoChromium(f"there is no Chromium: {REMEDY}")
