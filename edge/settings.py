"""The edge's environment, validated once, before anything is connected."""

import re
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from edge.access.addresses import Header, Network, parse_networks
from edge.access.origins import parse_origins
from edge.feed.selection import MAX_AUTHORS_TOTAL
from edge.positions_settings import PositionsSettings
from edge.wire.allowance import BURST_SECONDS
from runtime.kafka import TopicName
from runtime.settings import read
from streams.contract import Millis

_GIB: Final = 1024 * 1024 * 1024
_MIB: Final = 1024 * 1024
_KIB: Final = 1024
_DAY_SECONDS: Final = 86_400
_MAX_RETENTION_SECONDS: Final = 36_500 * _DAY_SECONDS
"""What the largest RETENTION_DAYS keeps; in milliseconds it is far from what 64 bits hold."""

Rate = Annotated[float, Field(ge=1 / BURST_SECONDS)]
"""How many a second: below this not even one would be allowed, since so many seconds' worth may come at once."""


class Settings(PositionsSettings):
    """What ``python -m edge`` can be told; each field is the variable of the same name in capitals."""

    edge_host: str = "0.0.0.0"  # noqa: S104 - a server for everybody, as the one that it replaces
    edge_port: int = Field(8080, ge=0, le=65535)
    reuse_port: bool = False
    """Whether several edges may listen on one port of one machine; the kernel deals connections among them."""
    admin_port: int = Field(0, ge=0, le=65535)
    """Where the probes and metrics are served instead of on the clients' port; 0 for there."""
    admin_host: str = ""
    """On which addresses; those of ``edge_host`` when it is empty."""
    feed_topic: TopicName = "posts.feed"

    window_seconds: float = Field(5, ge=0.1, le=3600)
    """The length of the worker's windows: the page shows how far the current one has come."""
    compose_url: str = ""
    """Where the page sends a post that is written on it, as the demo's does; without one it has no form."""

    dedup_records: int = Field(1000, ge=0)
    """How many records of the feed back a post counts as a repeat; the same for all edges."""
    dedup_seconds: float = Field(_DAY_SECONDS, gt=0, le=_MAX_RETENTION_SECONDS)
    """And how much older, by Kafka's timestamps, the record may be that it repeats; less than the feed's retention."""
    max_replays: int = Field(4, ge=1)
    """How many consumers read records that are no longer in memory; clients at about the same place share one."""
    max_replays_per_address: int = Field(2, ge=1)
    """How many of these clients of one address may have begun."""
    replay_bytes: int = Field(64 * _MIB, ge=_MIB)
    """How much memory these records may take."""
    history_records: int = Field(1000, ge=0)
    """How many records before the feed's end are offered when the edge starts."""
    log_bytes: int = Field(64 * _MIB, ge=_MIB)
    """How much of the feed is kept in memory, encoded."""
    page_bytes: int = Field(_MIB, ge=_KIB)
    """How long a page of posts is at most, in bytes; the same for all edges."""
    page_records: int = Field(100, ge=1)
    """A page ends before a record whose offset is a multiple of this; the same for all edges."""
    pages_bytes: int = Field(64 * _MIB, ge=_MIB)
    """How many bytes of pages are being sent at a time; clients that ask for the same page share it."""
    long_poll_seconds: float = Field(25, gt=0)
    """How long a request for posts waits for the next one, give or take a tenth."""
    write_bytes: int = Field(64 * _KIB, ge=_KIB, le=_GIB)
    """How much a client is sent at a time, and how much of it the kernel keeps unsent, which it takes as 32 bits."""
    compression: bool = True
    """Whether posts are compressed for clients that offer permessage-deflate: once for all of them."""

    ping_seconds: float = Field(20, gt=0)
    """After this long a silence a client is pinged."""
    dead_seconds: float = Field(60, gt=0)
    """After this long a silence a client is taken for dead."""
    stalled_seconds: float = Field(600, gt=0)
    """How long a client may take nothing of what it was sent."""
    heartbeat_seconds: float = Field(25, gt=0, le=_DAY_SECONDS)
    """After this long without a message a client that has cursors is sent one; below the 60 s of proxies."""
    max_age_seconds: float = Field(0, ge=0)
    """How old a connection may be, give or take a tenth, before its client is told to connect again; 0 for no limit."""
    join_seconds: float = Field(5, gt=0)
    """How long a client waits for Kafka to say where the feed ends, before it gets a 503."""
    join_rate: float = Field(600, ge=0)
    """How many clients are taken in a second, and told to come back at once; 0 for no limit."""
    unready_seconds: float = Field(10, ge=0)
    """How long Kafka may be away before the edge turns unready; its clients stay."""
    drain_seconds: float = Field(10, ge=0)
    """In how long the clients are told to go when the edge stops, one after the other, and are gone."""

    max_connections: int = Field(100_000, ge=1)
    """Connections in all; never more than the process may open files."""
    max_connections_per_address: int = Field(0, ge=0)
    """Connections from one address, or one /64 of IPv6; 0 for no limit, since behind a proxy all have one address."""
    max_authors_total: int = Field(MAX_AUTHORS_TOTAL, ge=0)
    """Authors in the filters of all clients together; equal filters count once."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Whose word on a client's address is taken; in the environment networks with commas between them."""
    proxy_header: Header = "x-forwarded-for"
    """Where those proxies say it; one header only, since what a proxy does not set a client can."""
    allowed_origins: Annotated[frozenset[str] | None, NoDecode] = None
    """Whose pages may read the edge in a browser; in the environment origins with commas between them, or ``*``."""
    handshake_seconds: float = Field(10, gt=0)
    """How long a request's head may take, from the connection on."""
    max_head_bytes: int = Field(16 * _KIB, ge=_KIB)
    keepalive_seconds: float = Field(75, gt=0)
    """How long a connection may be idle that is no WebSocket; above the 60 s of proxies, so that they close first."""
    max_message_bytes: int = Field(64 * _KIB, ge=125, le=_GIB)
    """What a client may send in one message; nothing of it is used."""
    max_fragments: int = Field(64, ge=1)
    """How many frames a message may come in."""
    messages_per_second: Rate = 10
    bytes_per_second: float = Field(64 * _KIB, gt=0)
    pings_per_second: Rate = 10
    """Pings and pongs together. Of each of the three, ten seconds' worth may come at once."""

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_networks(value)
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, or addresses, with commas between them") from None

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        return parse_origins(value) if isinstance(value, str) else value

    @field_validator("compose_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        # Its origin becomes a part of the page's policy, where spaces, commas and semicolons mean something.
        if value and not re.fullmatch(r"https?://[\w.:\[\]-]+(/[^\s,;'\"]*)?", value, re.ASCII):
            raise ValueError("must be a URL such as https://posts.example.org/new")
        return value

    @property
    def dedup_ms(self) -> Millis:
        """How much older a record may be that makes repeats, in milliseconds."""
        return Millis(round(self.dedup_seconds * 1000))

    @property
    def window_ms(self) -> Millis:
        """A window's length in milliseconds."""
        return Millis(round(self.window_seconds * 1000))

    @model_validator(mode="after")
    def _orders(self) -> Self:
        if self.admin_port and self.admin_port == self.edge_port:
            raise ValueError("ADMIN_PORT must be another port than EDGE_PORT: clients are served there")
        if self.replay_bytes < 4 * _MIB * self.max_replays:
            raise ValueError("REPLAY_BYTES must be at least 4 MiB for each of MAX_REPLAYS: a batch has 1 MiB")
        if self.pages_bytes < self.page_bytes:
            raise ValueError("PAGES_BYTES must be at least PAGE_BYTES: else no page can be sent")
        if self.dead_seconds <= self.ping_seconds:
            raise ValueError("DEAD_SECONDS must be more than PING_SECONDS: a client needs time for its pong")
        if self.bytes_per_second * BURST_SECONDS < 2 * self.max_message_bytes:
            raise ValueError(
                "BYTES_PER_SECOND must be at least a fifth of MAX_MESSAGE_BYTES: else the one forbids the other"
            )
        return self


def load() -> Settings:
    """Read the environment; raises :class:`runtime.settings.BadSettings`."""
    return read(Settings)
