"""An edge that sends back what it is sent: everything but what is done with a message is the edge's own.

The handshake, the parameters of aiohttp's WebSocket, and the connection with its direct writes are those that clients
get. Only this package switches it on; the edge has no such mode.
"""

from aiohttp import WSMessage, WSMsgType, web

from edge.access.entrance import Entrance
from edge.clients.connection import Connection, WebSocket
from edge.fanout.session import Session
from edge.server import Server
from edge.wire.frames import text_frame

_BINARY = 0x82
"""FIN and the opcode of binary messages (RFC 6455 §5.2), of which the edge sends none."""


class EchoServer(Server):
    """Takes clients in as the edge does, and then shows them their own messages."""

    async def _attend(
        self,
        request: web.Request,
        websocket: WebSocket,
        session: Session,
        entrance: Entrance,
        client: str,
    ) -> None:
        del session, entrance, client
        if request.transport is None:
            return
        connection = Connection(websocket, request.transport)
        async for message in websocket:
            if message.type is WSMsgType.PING:
                await websocket.pong(message.data)
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                connection.write(_echo(message))


def _echo(message: WSMessage) -> bytes:
    if message.type is WSMsgType.TEXT:
        return text_frame(message.data.encode())
    # A length is written in the same way whatever the opcode.
    return bytes([_BINARY]) + text_frame(message.data)[1:]
