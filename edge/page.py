"""The live page and the JavaScript client: their files, and the headers that let nothing else run on the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page/style.css": ("style.css", "text/css"),
    "/page/script.js": ("script.js", "text/javascript"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The file behind each path, and its media type."""
_CLIENT: Final = {
    "/client.js": ("client.js", "text/javascript"),
    "/client-tabs.js": ("client-tabs.js", "text/javascript"),
    "/client.d.ts": ("client.d.ts", "text/plain"),
}
"""The JavaScript client likewise: the page's, and anybody's."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page, as it is sent."""

    body: bytes
    media_type: str
    etag: str
    headers: Mapping[str, str]


Page = Mapping[str, File]
"""The page's files by their paths; ``/`` is the document."""


_SHARED: Final = {
    "X-Content-Type-Options": "nosniff",
    # The files belong together: a browser asks each time whether what it has is still what there is.
    "Cache-Control": "no-cache",
}
_FOR_ALL_ORIGINS: Final = {
    **_SHARED,
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def live_page(compose_url: str = "") -> Page:
    """Read the page that comes with this package; ``compose_url`` is where it may send what is written on it."""
    return {**_read(_FILES, _headers(compose_url)), **_read(_CLIENT, _FOR_ALL_ORIGINS)}


def _read(named: Mapping[str, tuple[str, str]], headers: Mapping[str, str]) -> Page:
    folder = files("edge").joinpath("assets")
    bodies = {path: (folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in named.items()}
    return {path: File(body, kind, sha256(body).hexdigest()[:32], headers) for path, (body, kind) in bodies.items()}


def _headers(compose_url: str) -> Mapping[str, str]:
    """Make the headers of all files: only the edge's own scripts and styles count, and pictures may be anywhere.

    The policy is CSP level 3. It allows nothing inline, and makes no HTML of text (Trusted Types). That a connection to
    ``'self'`` may be a WebSocket is new in it: Safari before 15.4 has level 2, and does not connect. To name a host,
    the policy would have to believe the request's ``Host``.
    """
    connect = "'self'"
    if compose_url:
        parts = urlsplit(compose_url)
        connect += f" {parts.scheme}://{parts.netloc}"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http: https: data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"require-trusted-types-for 'script'"
    )
    return {
        **_SHARED,
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
    }
