"""``AMQP_URL``: one URL for each host of a RabbitMQ cluster, or a sentence for what is wrong with it.

``amqp://user:password@h1:5672,h2:5672/vhost`` names several hosts. Only commas between the last ``@`` and the next
``/`` separate them: a password may hold commas.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

_FORM: Final = "must look like amqp://user:password@host:port/, or amqps://"
# What ends the authority of a URL, or begins an IPv6 address; a user name or password holds these only escaped.
_RESERVED: Final = re.compile(r"[/?#\[\]]")
# A URL's own `heartbeat` wins. RabbitMQ ends a connection after two that are missing.
_HEARTBEAT_SECONDS: Final = 10


def amqp_urls(text: str) -> list[str]:
    """Return the URL of each host, in the order in which they stand; raises ValueError with a sentence."""
    scheme, separator, rest = text.partition("://")
    if scheme not in {"amqp", "amqps"} or not separator:
        raise ValueError(_FORM)
    if re.search(r"\s", text):
        raise ValueError("must hold no spaces; in a password a space is written %20")
    user, at, rest = rest.rpartition("@")
    if _RESERVED.search(user):
        raise ValueError("holds a / ? # [ or ] in its user name or password; write %2F %3F %23 %5B or %5D instead")
    end = re.search(r"[/?#]|$", rest)
    assert end is not None  # noqa: S101 - the end of the text always matches
    hosts, path = rest[: end.start()], rest[end.start() :]
    if "#" in path:
        raise ValueError("holds a # behind its host; write %23 instead")
    login = user.replace("@", "%40") + at
    return [f"{scheme}://{login}{_checked(host)}{path}" for host in hosts.split(",")]


def completed(url: URL, name: str) -> URL:
    """Add what a URL does not say itself: the port, the connection's name, the heartbeat."""
    if url.port is None:
        url = url.with_port(5671 if url.scheme == "amqps" else 5672)
    defaults = {"name": name, "heartbeat": str(_HEARTBEAT_SECONDS)}
    return url.update_query({key: value for key, value in defaults.items() if key not in url.query})


def _checked(host: str) -> str:
    try:
        url = urlsplit(f"amqp://{host}")
        name, port = url.hostname, url.port
    except ValueError:
        raise ValueError(f"{_FORM}; a host or a port in it is not one") from None
    if not name or port == 0 or not (":" in name or re.fullmatch(r"[\w.-]+", name)):
        raise ValueError(f"{_FORM}; a host or a port in it is not one")
    return host
