"""The live page: one HTML file, and a Content-Security-Policy that allows its own script and style alone."""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

_INLINE: Final = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A page's body and its response headers."""

    body: bytes
    headers: dict[str, str]


def page_of(body: bytes) -> Page:
    """Make a page whose policy allows, by hash (CSP level 3), the scripts and styles in ``body``, and any images.

    ``connect-src 'self'`` includes the WebSocket of the same host by CSP level 3. Safari before 15.4 has level 2, and
    does not connect: to name a host there, the policy would have to believe the request's ``Host``.
    """
    allowed = {b"script": "", b"style": ""}
    for kind, text in _INLINE.findall(body):
        allowed[kind] += f" 'sha256-{b64encode(sha256(text).digest()).decode()}'"
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src http: https: data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; script-src{allowed[b'script']}; style-src{allowed[b'style']}"
    )
    return Page(
        body,
        {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"},
    )


def live_page() -> Page:
    """Read the page that comes with this package."""
    return page_of(files("edge").joinpath("page.html").read_bytes())
