"""Pages as those use them who have a keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def tab_to(page: Page, target: Locator, most: int = 120) -> None:
    """Press Tab until it has the focus."""
    for _ in range(most):
        if target.evaluate("(each) => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{target} is not reached by Tab")
