"""uWebSockets, to compare with: its own publishing to all that have subscribed to a topic, called from Python.

``python -m integration.bench.uwebsockets`` replies with its ``port``, where clients connect. ``GET /publish/N`` there
publishes N posts, one message each. It reads no queue and decodes nothing: what that would cost is left out.
"""

import os
import sys
import threading
from typing import Any, Final

from socketify import App, AppListenOptions, OpCode

from integration.bench.companion import reply
from integration.bench.posts import FIRST_ID, message_text
from integration.ports import free_port

_TOPIC: Final = "posts"
_UNSENT_BYTES: Final = 1 << 24
"""It drops messages beyond that: more than is ever unsent here."""
_NEVER: Final = 0
"""Clients that say nothing are idle, and stay."""


def _until_told() -> None:
    sys.stdin.read()
    # Thousands of clients need no farewell.
    os._exit(0)


def _serve(port: int) -> None:
    app = App()
    ids = iter(range(FIRST_ID, sys.maxsize))

    def publish(response: Any, request: Any) -> None:
        for _ in range(int(request.get_parameter(0))):
            app.publish(_TOPIC, message_text(next(ids)), OpCode.TEXT)
        response.end("{}")

    app.get("/publish/:posts", publish)
    behaviour = {
        "idle_timeout": _NEVER, "max_backpressure": _UNSENT_BYTES, "open": lambda client: client.subscribe(_TOPIC),
    }  # fmt: skip
    app.ws("/", behaviour)
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _: reply(port=port))
    # Its own loop alone, which sleeps while nothing comes: ``app.run`` turns asyncio's beside it, and never sleeps.
    while True:
        app.loop.uv_loop.run_once()


if __name__ == "__main__":
    threading.Thread(target=_until_told, daemon=True).start()
    _serve(free_port())
