"""``python -m integration.bench.estimate_page``: compute docs/scale.md's tables anew from the constants that are kept.

:mod:`integration.bench.page` keeps the constants of a run, in docs/performance/constants.json, where the run has them
all.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from integration.bench import compression, estimate, fanout, idle, resting, scale, storm
from integration.bench.contenders import EDGE
from integration.bench.estimate import Constants, Limits, Window
from integration.bench.figures import Figure, shown
from integration.bench.marks import fill, markdown
from integration.bench.posts import FIRST_ID, FRAME_BYTES, feed_record

_DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = _DOCS / "scale.md"
CONSTANTS: Final = _DOCS / "performance/constants.json"
CLIENTS: Final = 1_000_000
EACH: Final = (10_000, 20_000, 50_000)
"""So many clients on each edge, a column of the table for each."""
_SMALL, _LARGE = 1, 50
_MANY: Final = 10_000
"""Clients at which the fan-out is told of."""
_MICRO: Final = 1e6
_MILLI: Final = 1e3
_GIB: Final = 1024**3
_GIGA: Final = 1e9
_MEGA: Final = 1e6


def constants_of(at: str, figures: Sequence[Figure]) -> Constants | None:
    """Return the constants of a run; None when it lacks any of them."""

    def median(part: str, ending: str) -> float:
        return next(each.median for each in figures if each.part == part and each.name.endswith(ending))

    def window(posts: int, share: float) -> Window:
        at = {"clients": _MANY, "posts": posts, "by": EDGE}
        rate = next(each.median for each in figures if each.part == fanout.PART and each.at == at)
        record = len(feed_record(range(FIRST_ID, FIRST_ID + posts)))
        return Window(posts, _MICRO * posts / rate, posts * FRAME_BYTES, share * posts * FRAME_BYTES, record)

    try:
        clients = next(int(each.at["clients"]) for each in figures if each.part == storm.PART and "clients" in each.at)
        resting_ones = next(each for each in figures if each.part == resting.PART and each.at)
        rested = int(resting_ones.at["clients"]) * int(resting_ones.at["seconds"])
        return Constants(
            at=at,
            edge_mib=median(scale.PART, "resident, an edge without clients"),
            connection_kib=median(idle.PART, "edge, compression agreed"),
            kernel_kib=median(scale.PART, "in the kernel, for each end of a connection"),
            rest_us=_MICRO * resting_ones.median / rested,
            return_us=_MICRO * median(storm.PART, "the edge's CPU time") / clients,
            returns_a_second=clients / median(storm.PART, "posts that they missed"),
            # A single post gains least: what is compressed together are the posts of a window.
            small=window(_SMALL, 1.0),
            large=window(_LARGE, median(compression.PART, "50 posts a window: compressed over plain, bytes")),
        )
    except StopIteration:
        return None


def keep(constants: Constants) -> None:
    """Write the constants down."""
    CONSTANTS.write_bytes(msgspec.json.format(msgspec.json.encode(constants), indent=2) + b"\n")


def kept() -> Constants:
    """Return the constants that are kept."""
    return msgspec.json.decode(CONSTANTS.read_bytes(), type=Constants)


def page(text: str, constants: Constants) -> str:
    """Put the tables between the marks of a page."""
    blocks = {"constants": _constants(constants), "million": _million(constants), "limits": _limits(constants)}
    return fill(text, blocks)


def _constants(constants: Constants) -> str:
    small, large = constants.small, constants.large
    rows = [
        ("resident, an edge without clients", shown(constants.edge_mib), "MiB"),
        ("resident, for each connection", shown(constants.connection_kib), "KiB"),
        ("in the kernel, the server's end of a connection", shown(constants.kernel_kib), "KiB"),
        ("CPU time of a connection that rests for a second", shown(constants.rest_us), "µs"),
        ("CPU time of a client that comes back", shown(constants.return_us), "µs"),
        ("clients that come back to an edge in a second", shown(constants.returns_a_second), "clients/s"),
    ]
    for window in (small, large):
        name = f"a window of {window.posts} post{'s' if window.posts > 1 else ''}"
        rows += [
            (f"{name}: CPU time for each client", shown(window.write_us), "µs"),
            (f"{name}: bytes for each client", shown(window.bytes), "bytes"),
            (f"{name}: its record on the feed", shown(window.record_bytes), "bytes"),
        ]
    rows.append(
        (f"a window of {large.posts} posts: bytes for each client, compressed", shown(large.deflated_bytes), "bytes")
    )
    table = markdown(("constant", "value", "unit"), rows)
    return f"Of the runs that ended at {constants.at}.\n\n{table}"


def _million(constants: Constants) -> str:
    small, large = constants.small, constants.large

    def count(each: int) -> int:
        return estimate.edges(CLIENTS, each)

    rows: list[tuple[str, Callable[[int], float], str]] = [
        ("edges", count, ""),
        ("resident, each edge, its log full", lambda each: estimate.edge_bytes(constants, each) / _GIB, " GiB"),
        ("resident, all edges", lambda each: count(each) * estimate.edge_bytes(constants, each) / _GIB, " GiB"),
        (
            "in the kernel, servers' ends",
            lambda each: count(each) * estimate.kernel_bytes(constants, each) / _GIB,
            " GiB",
        ),
        ("cores busy while nothing is sent", lambda _: estimate.resting_cores(constants, CLIENTS), ""),
        ("cores busy, a post each 5 s", lambda _: estimate.window_cores(small, CLIENTS), ""),
        ("cores busy, 50 posts each 5 s", lambda _: estimate.window_cores(large, CLIENTS), ""),
        ("to the last byte, a post", lambda each: _MILLI * estimate.last_byte_seconds(small, each), " ms"),
        ("to the last byte, 50 posts", lambda each: _MILLI * estimate.last_byte_seconds(large, each), " ms"),
        (
            "to all clients, 50 posts each 5 s",
            lambda _: estimate.client_bits(large, CLIENTS, is_deflated=False) / _GIGA,
            " Gbit/s",
        ),
        ("the same, compressed", lambda _: estimate.client_bits(large, CLIENTS, is_deflated=True) / _GIGA, " Gbit/s"),
        ("Kafka's egress, 50 posts each 5 s", lambda each: estimate.kafka_bits(large, count(each)) / _MEGA, " Mbit/s"),
        ("a storm of everybody: until all are served", lambda each: estimate.storm_seconds(constants, each), " s"),
        ("a storm of everybody: CPU time", lambda _: estimate.storm_cpu_seconds(constants, CLIENTS), " CPU-s"),
    ]
    return markdown(
        (f"{CLIENTS:,} clients; on each edge:", *(f"{each:,}" for each in EACH)),
        [(name, *(shown(value(each)) + unit for each in EACH)) for name, value, unit in rows],
    )


def _limits(constants: Constants) -> str:
    most = estimate.most_clients(constants, Limits())
    return markdown(("limit of one edge", "clients"), [(name, f"{clients:,}") for name, clients in most.items()])


def write(constants: Constants) -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text("utf-8"), constants), "utf-8")


def main() -> int:
    """Write the page of the constants that are kept; return the exit code."""
    write(kept())
    print(f"estimate_page: wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
