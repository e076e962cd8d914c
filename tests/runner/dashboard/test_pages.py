import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from runner.dashboard.pages import STATIC, TEMPLATES, modules_of, render
from runner.dashboard.words import direction
from runner.service.limits import MAX_METRICS
from runner.store.records import PROVENANCES


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


FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(STATIC)))
def test_static_files_ask_for_nothing_elsewhere_and_make_no_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org)|@import\b|\beval\(|new Function", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|javascript:", text)
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_modules_take_only_what_is_there(path: Path) -> None:
    """No build step looks at imports, so this does: the file is there, and it exports the name."""
    for names, where in re.findall(r"^import \{([^}]*)\} from \"([^\"]+)\"", path.read_text(encoding="utf-8"), re.M):
        source = (path.parent / where).resolve()
        assert source.is_relative_to(STATIC), where
        assert source.is_file(), where
        text = source.read_text(encoding="utf-8")
        for name in (each.strip().partition(" as ")[0] for each in names.split(",") if each.strip()):
            assert re.search(rf"^export (?:async )?(?:function\*?|const|let|class) {re.escape(name)}\b", text, re.M), (
                name
            )


def test_every_module_of_a_page_is_told_to_the_browser_once() -> None:
    found = modules_of("pages/study.js")
    assert found[0] == "pages/study.js"
    assert len(found) == len(set(found))
    assert {"core/dom.js", "charts/scatter.js", "study/source.js", "core/names.js"} <= set(found)
    assert all((STATIC / path).is_file() for path in found)
    page = render("study.html", study="0" * 32, command="supernaut front x")
    assert [f'<link rel="modulepreload" href="/static/{path}">' in page for path in found] == [True] * len(found)


def test_what_scripts_know_of_the_server_is_what_the_server_knows() -> None:
    source = (STATIC / "study" / "source.js").read_text(encoding="utf-8")
    assert f"const MOST_NAMES = {MAX_METRICS};" in source
    names = (STATIC / "core" / "names.js").read_text(encoding="utf-8")
    told = re.search(r"PROVENANCES = Object\.freeze\(\[([^]]*)\]", names)
    assert told is not None
    assert set(re.findall(r'"(\w+)"', told[1])) == set(PROVENANCES)
    for goal in ("minimize", "maximize"):
        assert f'{goal}: "{direction("error", goal)}"' in names
