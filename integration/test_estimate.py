"""What many clients take is computed by plain formulae, and docs/scale.md says what they say."""

from pathlib import Path
from typing import Final

import pytest

from integration.bench import estimate, estimate_page
from integration.bench.estimate import Constants, Limits, Window
from integration.bench.figures import Figure
from integration.bench.posts import FRAME_BYTES

_SCALE: Final = Path(__file__).parents[1] / "docs/scale.md"
_MIB: Final = 1024**2

SMALL: Final = Window(posts=1, write_us=10.0, bytes=400.0, deflated_bytes=300.0, record_bytes=500.0)
LARGE: Final = Window(posts=50, write_us=20.0, bytes=20_000.0, deflated_bytes=5_000.0, record_bytes=25_000.0)
CONSTANTS: Final = Constants(
    at="2026-01-02",
    edge_mib=36.0,
    connection_kib=4.0,
    kernel_kib=6.0,
    rest_us=2.0,
    return_us=500.0,
    returns_a_second=2_000.0,
    small=SMALL,
    large=LARGE,
)


@pytest.mark.parametrize(("clients", "each", "edges"), [(1, 10, 1), (10, 10, 1), (11, 10, 2), (1_000_000, 20_000, 50)])
def test_the_last_edge_may_be_half_empty(clients: int, each: int, edges: int) -> None:
    assert estimate.edges(clients, each) == edges


def test_an_edge_holds_its_log_once_and_each_connection() -> None:
    assert estimate.edge_bytes(CONSTANTS, 0) == 100 * _MIB
    assert estimate.edge_bytes(CONSTANTS, 25_600) == 200 * _MIB
    assert estimate.kernel_bytes(CONSTANTS, 1_024) == 6 * _MIB


def test_cores_are_cpu_time_over_the_time_in_which_it_is_used() -> None:
    """A window comes each 5 seconds; resting is told by the second."""
    assert estimate.resting_cores(CONSTANTS, 1_000_000) == pytest.approx(2.0)
    assert estimate.window_cores(LARGE, 1_000_000) == pytest.approx(4.0)


def test_the_last_byte_is_as_late_as_all_writes_of_one_edge_take() -> None:
    assert estimate.last_byte_seconds(SMALL, 20_000) == pytest.approx(0.2)


def test_bits_a_second_are_eight_times_the_bytes_of_a_window_over_its_length() -> None:
    assert estimate.client_bits(LARGE, 1_000, is_deflated=False) == pytest.approx(32e6)
    assert estimate.client_bits(LARGE, 1_000, is_deflated=True) == pytest.approx(8e6)
    assert estimate.kafka_bits(LARGE, 100) == pytest.approx(4e6)


def test_a_storm_takes_each_edge_its_own_time_and_all_of_them_their_cpu_time() -> None:
    assert estimate.storm_seconds(CONSTANTS, 20_000) == pytest.approx(10.0)
    assert estimate.storm_cpu_seconds(CONSTANTS, 1_000_000) == pytest.approx(500.0)


def test_the_limit_that_is_met_first_stands_first() -> None:
    """Each in turn, when everything else is generous."""
    free = Limits(
        last_byte_seconds=1e6, storm_seconds=1e6, core_share=1e3, files=10**9, memory_mib=1e9, network_gbit=1e6
    )
    tight = {
        "last byte": Limits(0.2, 1e6, 1e3, 10**9, 1e9, 1e6),
        "are back": Limits(1e6, 5.0, 1e3, 10**9, 1e9, 1e6),
        "of a core": Limits(1e6, 1e6, 0.5, 10**9, 1e9, 1e6),
        "open files": Limits(1e6, 1e6, 1e3, 10_000, 1e9, 1e6),
        "GiB of memory": Limits(1e6, 1e6, 1e3, 10**9, 200.0, 1e6),
    }
    for name, limits in tight.items():
        first, clients = next(iter(estimate.most_clients(CONSTANTS, limits).items()))
        assert name in first
        assert clients == 10_000 or name in {"of a core", "GiB of memory"}
    assert estimate.most_clients(CONSTANTS, tight["of a core"])["50% of a core"] == 83_333
    assert estimate.most_clients(CONSTANTS, tight["GiB of memory"])["0.195312 GiB of memory"] == 10_240
    assert min(estimate.most_clients(CONSTANTS, free).values()) > 10**7


def test_a_network_is_filled_by_one_window_to_all() -> None:
    most = estimate.most_clients(CONSTANTS, Limits(last_byte_seconds=0.1, network_gbit=8.0))
    assert most["the last byte within 0.1 s, by 8 Gbit/s"] == 5_000
    assert most["the last byte within 0.1 s, by 8 Gbit/s, compressed"] == 20_000


def figures() -> list[Figure]:
    return [
        Figure("scale", "9 clients on 2 edges: resident, an edge without clients", "MiB", [60]),
        Figure("scale", "9 clients on 2 edges: in the kernel, for each end of a connection", "KiB each", [5]),
        Figure("idle", "resident, 9 connections: edge, compression agreed", "KiB each", [3]),
        Figure("resting", "9 clients rest for 60 s: CPU time", "s", [0.9], at={"clients": 9_000, "seconds": 50}),
        Figure("storm", "9 clients come back, Kafka frozen: until all have the 5 posts that they missed", "s", [5],
               at={"clients": 10_000}),
        Figure("storm", "9 clients come back, Kafka frozen: the edge's CPU time", "s", [4]),
        Figure("compression", "5 clients, 50 posts a window: compressed over plain, bytes", "ratio", [0.4]),
        *(
            Figure("fanout", "", "deliveries/CPU-s", [rate], at={"clients": 10_000, "posts": posts, "by": "edge"})
            for posts, rate in ((1, 1e5), (50, 5e6))
        ),
    ]  # fmt: skip


def test_the_constants_are_those_of_a_run_that_has_them_all() -> None:
    constants = estimate_page.constants_of("2026-01-02", figures())
    assert constants is not None
    assert (constants.edge_mib, constants.connection_kib, constants.kernel_kib) == (60, 3, 5)
    assert (constants.rest_us, constants.return_us, constants.returns_a_second) == pytest.approx((2.0, 400.0, 2_000.0))
    assert (constants.small.write_us, constants.large.write_us) == pytest.approx((10.0, 10.0))
    assert constants.large.bytes == 50 * FRAME_BYTES
    assert constants.large.deflated_bytes == pytest.approx(20 * FRAME_BYTES)
    assert constants.large.record_bytes > constants.small.record_bytes > 0
    for missing in range(len(figures())):
        rest = [figure for number, figure in enumerate(figures()) if number != missing]
        assert estimate_page.constants_of("2026-01-02", rest) is None


def test_the_page_says_what_the_formulae_say() -> None:
    """The page in the repository is that of the constants beside it."""
    text = _SCALE.read_text("utf-8")
    assert estimate_page.page(text, estimate_page.kept()) == text


def test_the_tables_have_a_column_for_each_number_of_clients_on_an_edge() -> None:
    made = estimate_page.page("<!-- figures: million -->\n<!-- end -->", CONSTANTS)
    assert "| edges | 100 | 50 | 20 |" in made
    assert "| to the last byte, a post | 100 ms | 200 ms | 500 ms |" in made
    assert "| cores busy, 50 posts each 5 s | 4 | 4 | 4 |" in made
