"""Which pages may read the edge: those of the origins that are named, whole, and nobody by a likeness."""

import pytest
from multidict import CIMultiDict

from edge.access.origins import EVERYBODY, NOBODY, UNREAD, Origins, parse_origins

EXPOSED = "Stream-Next-Offset, Stream-Up-To-Date, Stream-Cursor, ETag, Retry-After"
LISTED = Origins(frozenset({"https://www.example.org", "http://localhost:3000"}))
SENTENCE = "Pages of your origin may not read this server."


def request(*origins: str, **more: str) -> CIMultiDict[str]:
    named = [("Origin", origin) for origin in origins]
    return CIMultiDict([*named, *((name.replace("_", "-"), value) for name, value in more.items())])


def is_allowed(origins: Origins, headers: CIMultiDict[str]) -> bool:
    fault = origins.fault_in(headers)
    assert fault is None or (fault.status, fault.sentence) == (403, SENTENCE)
    return fault is None


@pytest.mark.parametrize("headers", [request(), request("https://anywhere.example"), request("null")])
def test_unless_a_list_is_given_everybody_may_read_without_credentials(headers: CIMultiDict[str]) -> None:
    headers["Sec-Fetch-Site"] = "cross-site"
    assert is_allowed(EVERYBODY, headers)
    assert EVERYBODY.headers(headers) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": EXPOSED,
    }


@pytest.mark.parametrize("origin", ["https://www.example.org", "http://localhost:3000"])
def test_an_origin_of_the_list_is_named_and_no_other(origin: str) -> None:
    """A cache must not show the answer to another origin."""
    assert is_allowed(LISTED, request(origin, Sec_Fetch_Site="cross-site"))
    assert LISTED.headers(request(origin)) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED,
    }


@pytest.mark.parametrize(
    "origins",
    [
        ["https://example.org"],
        ["https://www.example.org.evil.example"],
        ["https://evil.example/https://www.example.org"],
        ["https://www.example.org:8443"],
        ["http://www.example.org"],
        ["http://localhost"],
        ["https://WWW.example.org"],
        ["null"],
        [""],
        ["https://www.example.org", "https://evil.example"],
        ["https://evil.example", "https://www.example.org"],
    ],
)
def test_what_is_like_an_origin_of_the_list_is_refused(origins: list[str]) -> None:
    """A host of its own that is equal to it does not help either: who asks chooses its host's name."""
    headers = request(*origins, Host=origins[0].partition("://")[2], Sec_Fetch_Site="same-origin")
    assert not is_allowed(LISTED, headers)
    assert LISTED.headers(headers) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    ("site", "allowed"),
    [(None, True), ("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)],
)
def test_a_request_without_an_origin_is_refused_when_the_browser_says_that_it_is_foreign(
    site: str | None, *, allowed: bool
) -> None:
    headers = request(**({} if site is None else {"Sec_Fetch_Site": site}))
    assert is_allowed(LISTED, headers) is allowed
    assert LISTED.headers(headers) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    ("mode", "destination", "allowed"),
    [
        ("navigate", "document", True),
        ("navigate", "iframe", False),
        ("no-cors", "document", False),
        ("no-cors", "script", False),
    ],
)
def test_a_link_from_anywhere_leads_to_the_page(mode: str, destination: str, *, allowed: bool) -> None:
    headers = request(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode, Sec_Fetch_Dest=destination)
    assert is_allowed(LISTED, headers) is allowed


def test_a_navigation_from_an_origin_that_is_not_listed_is_refused() -> None:
    """Only a form that posts something has one."""
    headers = request("https://evil.example", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert not is_allowed(LISTED, headers)


def test_the_answer_to_what_was_not_understood_tells_what_can_be_told() -> None:
    all_ = f"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: {EXPOSED}\r\n"
    assert EVERYBODY.lines(UNREAD) == all_
    assert LISTED.lines(UNREAD) == NOBODY.lines(UNREAD) == "Vary: Origin\r\n"
    named = "Vary: Origin\r\n" + all_.replace("*", "http://localhost:3000")
    assert LISTED.lines(request("http://localhost:3000")) == named


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("*", None),
        (" * ", None),
        ("https://www.example.org", {"https://www.example.org"}),
        ("HTTPS://WWW.Example.org , http://localhost:3000", {"https://www.example.org", "http://localhost:3000"}),
        ("https://a.example:443,http://a.example:80", {"https://a.example", "http://a.example"}),
        ("https://a.example:80,http://a.example:443", {"https://a.example:80", "http://a.example:443"}),
        ("https://a.example:08443", {"https://a.example:8443"}),
        ("http://[::1]:8080,http://192.0.2.1", {"http://[::1]:8080", "http://192.0.2.1"}),
        ("capacitor://localhost,chrome-extension://abcdef", {"capacitor://localhost", "chrome-extension://abcdef"}),
        ("https://xn--bcher-kva.example", {"https://xn--bcher-kva.example"}),
    ],
)
def test_origins_are_read_as_browsers_write_them(text: str, allowed: set[str] | None) -> None:
    assert parse_origins(text) == allowed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing between two of its commas"),
        ("https://a.example,", "nothing between two of its commas"),
        ("https://a.example,*", r"\* is all origins, and stands alone"),
        (
            "a.example",
            r"must be \* or origins such as https://www.example.org with commas between them, not a.example$",
        ),
        ("//a.example", "or origins such as"),
        ("null", "or origins such as"),
        ("https://a.example https://b.example", "ends behind its host and port"),
        ("https://a.example/", "without a slash, unlike https://a.example/$"),
        ("https://a.example/path", "ends behind its host and port"),
        ("https://a.example?x=1", "ends behind its host and port"),
        ("https://a.example#x", "ends behind its host and port"),
        ("https://user:secret@a.example", "an origin has no user$"),
        ("https://*.example.org", "each host is named whole"),
        ("https://", "cannot be read"),
        ("https://a.example:", "cannot be read"),
        ("https://a.example:x", "cannot be read"),
        ("https://a.example:0", "is not one of 1 to 65535"),
        ("https://a.example:65536", "is not one of 1 to 65535"),
        ("https://bücher.example", "xn--"),
        ("https://[::1", "cannot be read"),
        ("https://[:::1]", "cannot be read"),
        ("https://[0:0::1]", "cannot be read"),
    ],
)
def test_what_is_no_origin_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_origins(text)
