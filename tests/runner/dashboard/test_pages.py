import re

import pytest
from jinja2 import UndefinedError

from runner.dashboard.pages import STATIC, TEMPLATES, render


def test_what_is_put_into_a_page_is_text() -> None:
    page = render("error.html", status=404, title="<b>title</b>", words="<script>alert(1)</script> & 'words'")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;words&#39;" in page


def test_a_forgotten_value_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError, match="words"):
        render("error.html", status=404, title="title")


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_keep_the_policy(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert not re.search(r"<style|style=|\bon\w+=|javascript:|\|\s*safe|autoescape|https?://", text)
    assert not re.search(r"<script(?! src=\"/static/)", text)


def test_static_files_ask_for_nothing_elsewhere() -> None:
    for path in STATIC.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org)|@import|eval\(", path.read_text(encoding="utf-8")), path
