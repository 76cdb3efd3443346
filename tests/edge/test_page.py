"""The live page and its policy."""

import re
from base64 import b64encode
from hashlib import sha256

from edge.page import live_page, page_of


def test_only_what_stands_in_the_page_may_run() -> None:
    """The policy names the hash of each inline script and style, and nothing else of that kind."""
    page = page_of(b"<style>a{}</style><script>1</script>")
    script, style = (b64encode(sha256(text).digest()).decode() for text in (b"1", b"a{}"))
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert f"script-src 'sha256-{script}'" in policy
    assert f"style-src 'sha256-{style}'" in policy
    assert "default-src 'none'" in policy


def test_the_live_page_needs_nothing_from_elsewhere_and_makes_no_html_of_posts() -> None:
    """One file: no sources, no imports, no inline handlers (which its policy would stop), no markup from text."""
    body = live_page().body.decode()
    assert len(re.findall("<script>", body)) == len(re.findall("<style>", body)) == 1
    assert not re.search(r"<(script|img|iframe|link)[^>]+(src|href)=(?!\"data:,\")", body)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\bon\w+=\"", body)


def test_the_live_page_keeps_its_cursor_through_actions_that_it_does_not_know() -> None:
    """docs/protocol.md: a client ignores them; what has no cursor says nothing of where it stands."""
    body = live_page().body.decode()
    assert "if (message.cursor !== undefined) cursor = message.cursor;" in body
