"""The demo's other half: takes a post that is written on the page, and draws the pictures of all demo posts.

``python -m integration.composer`` serves both on loopback, to the page of one edge alone. A post goes the real way: it
is inserted into the database and announced on the queue. None of this is part of the product. (In a container
``DEMO_HOST`` must be 0.0.0.0, and the port be published on loopback.)
"""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from aiohttp import web

from integration import posts_service
from integration.pictures import picture
from integration.posts_service import MAX_LENGTH, QUEUE_NAME, NewPost, picture_key
from integration.probes import NOT_READY

AUTHOR: Final = "guest"
"""Who has written what is written on the page."""
_BODY_BYTES: Final = 16 * 1024
_HTTP: Final = 80
# The name is unique: of two first posts at once, one finds the other's.
_AUTHOR: Final = """
    INSERT INTO users (username, password_hash) VALUES ($1, 'nobody logs in here')
    ON CONFLICT (username) DO UPDATE SET username = excluded.username RETURNING id
"""


def variables(port: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the worker, the edge and this server on ``port`` know of each other."""
    address = f"http://127.0.0.1:{port}/"
    base = environ.get("IMAGE_BASE_URL") or address
    return {"DEMO_PORT": str(port), "COMPOSE_URL": f"{address}posts", "IMAGE_BASE_URL": base}


def origins(edge_port: int) -> frozenset[str]:
    """Return the origins of the page of an edge on this machine."""
    end = "" if edge_port == _HTTP else f":{edge_port}"
    return frozenset(f"http://{host}{end}" for host in ("127.0.0.1", "localhost", "[::1]"))


class Written(NamedTuple):
    """What the page sends."""

    text: str
    picture: bool


Publish = Callable[[Written], Awaitable[int]]
"""Publishes what was written and returns the post's id; what it raises is among :data:`NOT_READY`."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    picture: bool = False


def read(body: bytes) -> Written:
    """Read what the page sends; raises :class:`ValueError` with a sentence for people."""
    try:
        sent = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"this is not what the page sends ({error})") from error
    # PostgreSQL's text holds every character but this one.
    text = sent.text.replace("\0", "").strip()
    if not text:
        raise ValueError("there is no text")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the text is longer than {MAX_LENGTH} characters")
    return Written(text, sent.picture)


def application(allowed: frozenset[str], publish: Publish) -> web.Application:
    """Make the server: ``allowed`` are the origins of pages that may publish."""

    async def post(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin")
        # A page of somebody else's reaches loopback, too. It cannot choose its origin, nor send JSON without asking.
        if origin not in allowed:
            return _answer(403, {"error": "this page may not publish here"}, None)
        if request.content_type != "application/json":
            return _answer(415, {"error": "only JSON is taken"}, origin)
        try:
            written = read(await request.read())
        except ValueError as error:
            return _answer(400, {"error": str(error)}, origin)
        try:
            number = await publish(written)
        except NOT_READY as error:
            return _answer(503, {"error": f"the services are not ready: {error}"}, origin)
        return _answer(201, {"id": number}, origin)

    async def permit(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin")
        return _answer(204 if origin in allowed else 403, None, origin if origin in allowed else None)

    async def draw(request: web.Request) -> web.Response:
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=picture(request.match_info["name"]), content_type="image/svg+xml", headers=headers)

    made = web.Application(client_max_size=_BODY_BYTES)
    made.add_routes(
        [web.post("/posts", post), web.options("/posts", permit), web.get("/{name:pictures/[0-9a-f-]+[.]svg}", draw)]
    )
    return made


def _answer(status: int, body: dict[str, Any] | None, origin: str | None) -> web.Response:
    headers = {"Vary": "Origin"}
    if origin is not None:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Headers": "Content-Type"}
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.json_response(body, status=status, headers=headers)


async def publish(written: Written, *, amqp_url: str, database_url: str, queue: str) -> int:
    """Insert a post of :data:`AUTHOR`'s and announce it; return its id.

    Connections are opened for each: somebody who writes by hand is in no hurry, and a restarted service is no matter.
    """
    keys = (picture_key(random.Random()),) if written.picture else ()  # noqa: S311 - the name of a picture
    database = await asyncpg.connect(database_url)
    try:
        owner = await database.fetchval(_AUTHOR, AUTHOR)
        now = datetime.now(UTC).replace(tzinfo=None)
        post = NewPost(written.text, now, owner_id=owner, image_keys=keys)
        return await posts_service.publish(database, post, amqp_url=amqp_url, queue=queue)
    finally:
        await database.close()


async def _main(environ: Mapping[str, str]) -> None:
    publishing = partial(
        publish,
        amqp_url=environ["AMQP_URL"],
        database_url=environ["DATABASE_URL"],
        queue=environ.get("QUEUE_NAME", QUEUE_NAME),
    )
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    runner = web.AppRunner(application(origins(int(environ["EDGE_PORT"])), publishing), access_log=None)
    await runner.setup()
    host, port = environ.get("DEMO_HOST", "127.0.0.1"), int(environ["DEMO_PORT"])
    await web.TCPSite(runner, host, port).start()
    print(f"composer: listening on {host}:{port}", flush=True)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(os.environ))
