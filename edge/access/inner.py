"""What the entrance needs of the protocol behind it, which is aiohttp's (:mod:`edge.access.http`)."""

from typing import Any, Protocol


class Inner(Protocol):
    """A protocol that is told what a connection brings, until it has nothing to do with it any more."""

    def connection_made(self, transport: Any, /) -> None:
        """Begin."""
        ...

    def data_received(self, data: bytes, /) -> None:
        """Take what has come."""
        ...

    def eof_received(self) -> bool | None:
        """Note that nothing more comes."""
        ...

    def pause_writing(self) -> None:
        """Write nothing more for now."""
        ...

    def resume_writing(self) -> None:
        """Write again."""
        ...

    def connection_lost(self, exc: Exception | None, /) -> None:
        """End, also when there is no connection any more."""
        ...

    def let_go(self) -> None:
        """Write nothing more, and leave the connection open: it is somebody else's from now on."""
        ...
