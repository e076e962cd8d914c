"""How a browser gets in: with a link that works once, and with nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from playwright.sync_api import BrowserContext, expect

from runner.service.auth import LINK_LIFE, new_token

if TYPE_CHECKING:
    from runner.store import Repository


def test_a_link_opens_the_pages_once_and_scripts_do_not_see_the_session(
    stranger: BrowserContext, repository: Repository
) -> None:
    page = stranger.new_page()
    answer = page.goto("/studies/digits")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", name="Open this page with a link")).to_be_visible()
    record, code = new_token(
        owner="local", name="t", scopes=["admin"], kind="link", now=datetime.now(UTC), life=LINK_LIFE
    )
    repository.create_token(record)
    page.goto(f"/login?code={code}")
    expect(page.get_by_role("link", name="digits", exact=True)).to_be_visible()
    assert "code" not in page.url
    assert page.evaluate("document.cookie") == ""
    (cookie,) = stranger.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    stranger.clear_cookies()
    again = page.goto(f"/login?code={code}")
    assert again is not None
    assert again.status == 401


def test_a_page_of_another_origin_can_neither_read_nor_change_anything(
    context: BrowserContext, address: str, repository: Repository
) -> None:
    """The same server under another name of this machine is another site to the browser."""
    page = context.new_page()
    elsewhere = address.replace("127.0.0.1", "localhost")
    page.goto(f"{elsewhere}/healthz")
    outcome = page.evaluate(
        """async (address) => {
            const told = [];
            for (const [path, options] of [
                ["/api/v1/studies", {credentials: "include"}],
                ["/api/v1/tokens", {method: "POST", credentials: "include", mode: "no-cors",
                                    headers: {"Content-Type": "text/plain"},
                                    body: '{"name": "theirs", "scopes": ["admin"]}'}],
                ["/api/v1/studies/digits", {method: "DELETE", credentials: "include"}],
            ]) {
                try { told.push((await fetch(address + path, options)).type); } catch { told.push("refused"); }
            }
            return told;
        }""",
        address,
    )
    assert "basic" not in outcome
    assert "cors" not in outcome
    assert "theirs" not in {token.name for token in repository.tokens(None)}
    assert repository.study("digits").name == "digits"
