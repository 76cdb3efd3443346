"""An edge that a test plays to the page in a real browser: the page's own files, a status and a WebSocket."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime
from typing import Any, Final

from playwright.async_api import Page, Route, WebSocketRoute

from edge.page import live_page
from integration.demo_posts import Texts
from integration.pictures import picture
from integration.posts_service import USERS

URL: Final = "http://127.0.0.1:8080/"
COMPOSE_URL: Final = "http://127.0.0.1:8081/posts"
WINDOW_SECONDS: Final = 5
_WINDOW_MS: Final = 1000 * WINDOW_SECONDS
_PICTURES: Final = "https://pictures.example/"


class PretendEdge:
    """Made by :func:`pretend`."""

    def __init__(self, page: Page, compose_url: str) -> None:
        self.page = page
        self.requests: list[str] = []
        """The URLs of the WebSockets that the page has asked for, oldest first."""
        self.published: list[dict[str, Any]] = []
        """What the page's form has sent."""
        self.asked = 0
        """How often the page has asked for the status."""
        self.is_away = False
        """Whether connections are refused."""
        self._compose_url = compose_url
        self._files = live_page(compose_url)
        self._sockets: asyncio.Queue[WebSocketRoute] = asyncio.Queue()
        self._chance = random.Random(7)  # noqa: S311 - any posts will do
        self._texts = Texts(self._chance)
        self._ids = 1000

    async def open(self) -> WebSocketRoute:
        """Open the page; return its connection."""
        await self.page.route("**/*", self._answer)
        await self.page.route_web_socket("**/*", self._accept)
        await self.page.goto(URL)
        return await self.connection()

    async def connection(self) -> WebSocketRoute:
        """Wait for the page's next connection."""
        return await asyncio.wait_for(self._sockets.get(), 30)

    def welcome(self, cursor: str, **more: Any) -> str:
        """Make a welcome."""
        return json.dumps({"action": "welcome", "payload": {"recovered": True, "cursor": cursor, **more}})

    def created(self, window: int, **changed: Any) -> str:
        """Make a post of a window, with a cursor."""
        self._ids += 1
        chance = self._chance
        owner = chance.randrange(len(USERS))
        written = datetime.fromtimestamp((window + chance.uniform(200, _WINDOW_MS - 200)) / 1000, UTC)
        pictures = chance.choice((0, 0, 0, 1, 2, 3))
        payload = {
            "id": self._ids,
            "description": self._texts.next(),
            "created_at": written.isoformat().replace("+00:00", "Z"),
            "user": {"id": owner + 1, "username": USERS[owner]},
            "is_liked": False,
            "image_urls": [f"{_PICTURES}{self._ids}-{number}.svg" for number in range(pictures)],
            "likes_count": chance.randrange(6),
            **changed,
        }
        return json.dumps({"action": "created", "payload": payload, "window": window, "cursor": f"cursor{self._ids}"})

    @property
    def window(self) -> int:
        """The start of the window that closed last, in ms."""
        return (time.time_ns() // 1_000_000 // _WINDOW_MS - 1) * _WINDOW_MS

    async def _accept(self, socket: WebSocketRoute) -> None:
        self.requests.append(socket.url)
        if self.is_away:
            await socket.close(code=1012)
            return
        self._sockets.put_nowait(socket)

    async def _answer(self, route: Route) -> None:
        url = route.request.url
        path = "/" + url.removeprefix(URL)
        if url.startswith(_PICTURES):
            await route.fulfill(content_type="image/svg+xml", body=picture(url))
        elif url == self._compose_url:
            await self._publish(route)
        elif path == "/status.json":
            self.asked += 1
            await route.fulfill(json=self._status())
        elif path in self._files:
            file = self._files[path]
            await route.fulfill(body=file.body, content_type=file.media_type, headers=dict(file.headers))
        else:
            await route.abort()

    async def _publish(self, route: Route) -> None:
        headers = {
            "Access-Control-Allow-Origin": URL.rstrip("/"),
            "Access-Control-Allow-Headers": "Content-Type",
        }
        if route.request.method == "POST":
            self.published.append(json.loads(route.request.post_data or ""))
            await route.fulfill(status=201, json={"id": self._ids + 1}, headers=headers)
        else:
            await route.fulfill(status=204, headers=headers)

    def _status(self) -> dict[str, Any]:
        return {
            "version": "0.1.0",
            "time": time.time_ns() // 1_000_000,
            "viewers": 3,
            "posts_per_second": 1.2,
            "window_seconds": WINDOW_SECONDS,
            "compose_url": self._compose_url or None,
        }
