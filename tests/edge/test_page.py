"""The live page: its files, and the policy that lets nothing else run on it."""

import re
from pathlib import Path

import pytest

import edge
from edge.page import Page, live_page

PAGE: Page = live_page()
TEXTS = {path: file.body.decode() for path, file in PAGE.items()}


def directives(page: Page) -> dict[str, str]:
    """Return the policy's directives; all files have the same."""
    (policy,) = {file.headers["Content-Security-Policy"] for file in page.values()}
    return dict(each.split(" ", 1) for each in policy.split("; "))


def test_only_the_edges_own_files_count_and_nothing_inline() -> None:
    policy = directives(PAGE)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in " ".join(policy.values())


def test_the_page_may_send_posts_where_the_edge_was_told_and_only_there() -> None:
    assert directives(live_page("http://127.0.0.1:8081/posts")) == {
        **directives(PAGE),
        "connect-src": "'self' http://127.0.0.1:8081",
    }


def test_every_file_is_served_that_another_one_names() -> None:
    named = re.findall(r'(?:src|href)="([^"#]+)"', TEXTS["/"])
    assert {f"/{name}" for name in named} | {"/", "/page/connection.js"} == PAGE.keys()
    assert re.findall(r'from "\./([^"]+)"', TEXTS["/page/script.js"]) == ["connection.js"]
    assert {path.name for path in (Path(edge.__file__).parent / "assets").iterdir()} == {
        "page.html",
        *(path.rpartition("/")[2] for path in PAGE if path != "/"),
    }


@pytest.mark.parametrize("path", sorted(TEXTS))
def test_nothing_is_asked_of_anybody_else(path: str) -> None:
    """But an XML namespace, which nobody asks for."""
    assert set(re.findall(r"https?://[\w.]+", TEXTS[path])) <= {"http://www.w3.org"}
    assert not re.search(r"@import|url\(", TEXTS[path])


def test_there_is_no_inline_code_and_no_markup_is_made_of_text() -> None:
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?![^>]* src=)", TEXTS["/"])
    scripts = TEXTS["/page/script.js"] + TEXTS["/page/connection.js"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)


def test_the_connection_knows_nothing_of_the_page() -> None:
    """A client library can take its place."""
    assert not re.search(r"getElementById|querySelector|createElement|import ", TEXTS["/page/connection.js"])


def test_each_file_has_a_name_for_its_content() -> None:
    assert len({file.etag for file in PAGE.values()}) == len(PAGE)
    assert live_page("http://127.0.0.1:1/")["/"].etag == PAGE["/"].etag
