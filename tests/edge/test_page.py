"""The live page and the client: their files, and the policy that lets nothing else run on the page."""

import re
from pathlib import Path

import pytest

import edge
from edge.page import Page, live_page

PAGE: Page = live_page()
TEXTS = {path: file.body.decode() for path, file in PAGE.items()}


CLIENT = {path for path in PAGE if path.startswith("/client")}


def directives(page: Page) -> dict[str, str]:
    """Return the policy's directives; all files of the page have the same."""
    (policy,) = {file.headers["Content-Security-Policy"] for path, file in page.items() if path not in CLIENT}
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
    assert {f"/{name}" for name in named} | {"/", *CLIENT} == PAGE.keys()
    assert re.findall(r'from "([^"]+)"', TEXTS["/page/script.js"]) == ["../client.js"]
    assert {path.name for path in (Path(edge.__file__).parent / "assets").iterdir()} == {
        "page.html",
        *(path.rpartition("/")[2] for path in PAGE if path != "/"),
    }


@pytest.mark.parametrize("path", sorted(TEXTS))
def test_nothing_is_asked_of_anybody_else(path: str) -> None:
    """But an XML namespace, which nobody asks for, and an example."""
    assert set(re.findall(r"https?://[\w.]+", TEXTS[path])) <= {"http://www.w3.org", "https://posts.example"}
    assert not re.search(r"@import|url\(", TEXTS[path])


def test_there_is_no_inline_code_and_no_markup_is_made_of_text() -> None:
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?![^>]* src=)", TEXTS["/"])
    scripts = "".join(text for path, text in TEXTS.items() if path.endswith(".js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)


def test_the_client_knows_nothing_of_the_page_and_needs_no_other_file() -> None:
    assert not re.search(r"getElementById|querySelector|createElement|import ", TEXTS["/client.js"])


@pytest.mark.parametrize("path", sorted(CLIENT))
def test_pages_of_all_origins_may_use_the_client(path: str) -> None:
    headers = PAGE[path].headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Origin" not in PAGE["/"].headers


def test_each_file_has_a_name_for_its_content() -> None:
    assert len({file.etag for file in PAGE.values()}) == len(PAGE)
    assert live_page("http://127.0.0.1:1/")["/"].etag == PAGE["/"].etag
