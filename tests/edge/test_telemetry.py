"""Metrics."""

from collections import Counter
from functools import partial
from typing import ClassVar

from prometheus_client import generate_latest

import streams
from edge.access.limits import Admission
from edge.access.returns import Returns
from edge.clients.conversation import Tally
from edge.clients.link import Surroundings
from edge.clients.page_figures import PageFigures
from edge.feed.position import Position, Reason
from edge.feed.reads import Reading
from edge.telemetry import Metrics, TurnTimes
from edge.wire.closing import By
from edge.wire.handshake import Why
from edge.wire.websocket_encodings import CURSOR
from tests.edge.kit.lines import Turns as Loop
from tests.edge.kit.lines import hub_of
from tests.edge.kit.listening import gate
from tests.edge.kit.old import Gone
from tests.edge.kit.positions import Figures
from tests.edge.kit.records import log_of, record

# A tenth of a second is within these bounds.
LONG = ("0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf")


class Numbers:
    """A source's numbers."""

    records, repeats, undecodable = 7, 2, 1
    lag = 7
    lag_seconds = 1.5
    reconnects = 4
    gaps: ClassVar[dict[Reason, int]] = {"recreated": 1, "interrupted": 2}
    dropped = 3
    trouble: str | None = None
    figures = PageFigures({"200": 8, "304": 2}, waiting=3, bytes_sent=4096, stalled=1, made=5, bytes=1024)


def durations(name: str) -> list[str]:
    """Return a histogram's lines after 0.1 s was noted."""
    bounds = ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", *LONG)
    buckets = [f'{name}_bucket{{le="{bound}"}} {float(bound in LONG)}' for bound in bounds]
    return [*buckets, f"{name}_count 1.0", f"{name}_sum 0.1"]


def test_every_part_is_measured() -> None:
    """The names are what dashboards and alerts are made with."""
    log, turns = log_of(record(1, 2)), TurnTimes()
    hub = hub_of(log, Loop(), 1)
    hub.delays.seconds.note(0.1)
    log.read(Position(0), Reading(CURSOR), 1)
    through = gate(total=500)
    through.breaches["pings"] += 2
    through.census.turned_away[Admission.FULL] += 4
    through.census.arrive("a")
    for status in (101, 503, 101):
        through.answers.note(status)
    through.takeovers = 2
    through.join_seconds.note(0.1)
    admin = gate(total=10)
    admin.census.turned_away[Admission.CROWDED] += 5
    tally = Tally()
    tally.requests.update(ack=5, other=2)
    tally.errors.update(bad_cursor=1)
    refusals: Counter[tuple[str, Why]] = Counter({("websocket", "rate"): 8})
    closes: Counter[tuple[By, str]] = Counter({("server", "1001"): 3})
    around = Surroundings(
        hub,
        through,
        closes=closes,
        open=Counter(websocket=7),
        tally=tally,
        refusals=refusals,
        resumes=Counter(expired=2),
        returns=Returns(0),
    )
    old = Gone()
    old.refused["replays"] = 6
    metrics = Metrics(log, Numbers(), around, turns, replays=old, admin=admin, output=Numbers(), posts=Numbers())
    turns.note(0.0005, 0.00025)
    turns.note(0.25, 0.02)
    kinds = ("head", "newcomers", "laggards", "closings")
    lines = generate_latest(metrics.registry()).decode().splitlines()
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"} <= {
        line.split()[0] for line in lines
    }
    assert [line for line in lines if not line.startswith(("#", "process_"))] == [
        'postcast_edge_connections{transport="websocket"} 7.0',
        'postcast_edge_connections{transport="events"} 0.0',
        "postcast_edge_lagging 0.0",
        "postcast_edge_posts_sent_total 0.0",
        "postcast_edge_bytes_sent_total 0.0",
        "postcast_edge_mismatches_total 0.0",
        "postcast_edge_heartbeats_total 0.0",
        *durations("postcast_edge_fanout_seconds"),
        "postcast_edge_filters 0.0",
        "postcast_edge_filter_entries 0.0",
        "postcast_edge_filter_records_total 0.0",
        "postcast_edge_filter_matches_total 0.0",
        *(f'postcast_edge_agenda_clients{{kind="{kind}"}} 0.0' for kind in kinds),
        *(f'postcast_edge_agenda_oldest_seconds{{kind="{kind}"}} 0.0' for kind in kinds),
        "postcast_edge_acknowledging 0.0",
        "postcast_edge_unacknowledged_seconds 0.0",
        'postcast_edge_requests_total{action="ack"} 5.0',
        'postcast_edge_requests_total{action="other"} 2.0',
        'postcast_edge_errors_total{code="bad_cursor"} 1.0',
        'postcast_edge_closes_total{by="server",code="1001"} 3.0',
        "postcast_edge_sockets 1.0",
        "postcast_edge_sockets_limit 500.0",
        'postcast_edge_limited_total{limit="connections"} 4.0',
        'postcast_edge_limited_total{limit="pings"} 2.0',
        'postcast_edge_admin_limited_total{limit="address"} 5.0',
        'postcast_edge_http_answers_total{status="101"} 2.0',
        'postcast_edge_http_answers_total{status="503"} 1.0',
        'postcast_edge_refusals_total{by="websocket",why="rate"} 8.0',
        'postcast_edge_resumes_total{outcome="expired"} 2.0',
        "postcast_edge_takeovers_total 2.0",
        *durations("postcast_edge_join_seconds"),
        'postcast_edge_page_answers_total{status="200"} 8.0',
        'postcast_edge_page_answers_total{status="304"} 2.0',
        "postcast_edge_page_polls 3.0",
        "postcast_edge_page_bytes_sent_total 4096.0",
        "postcast_edge_page_stalled_total 1.0",
        "postcast_edge_pages_made_total 5.0",
        "postcast_edge_pages_bytes 1024.0",
        "postcast_edge_records_total 7.0",
        "postcast_edge_repeats_total 2.0",
        "postcast_edge_undecodable_total 1.0",
        'postcast_edge_gaps_total{reason="interrupted"} 2.0',
        'postcast_edge_gaps_total{reason="recreated"} 1.0',
        "postcast_edge_reconnects_total 4.0",
        "postcast_edge_feed_offset 1.0",
        "postcast_edge_feed_lag_records 7.0",
        "postcast_edge_feed_lag_seconds 1.5",
        "postcast_edge_feed_followed 1.0",
        f"postcast_edge_log_bytes {float(log.size)}",
        "postcast_edge_log_posts 2.0",
        "postcast_edge_encodings_made_total 1.0",
        "postcast_edge_encodings_evicted_total 0.0",
        "postcast_edge_replays 0.0",
        "postcast_edge_replay_readers 0.0",
        "postcast_edge_replay_log_bytes 0.0",
        *(f"postcast_edge_{name}_total 0.0" for name in ("replays_begun", "replay_records", "replay_bytes")),
        "postcast_edge_replay_left_behind_total 0.0",
        'postcast_edge_replays_refused_total{bound="replays"} 6.0',
        "postcast_edge_log_lines_dropped_total 3.0",
        *(
            f'postcast_edge_turn_seconds_bucket{{le="{bound}"}} {count}'
            for bound, count in (
                *((small, 1.0) for small in ("0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2")),
                *((large, 2.0) for large in ("0.5", "1.0", "+Inf")),
            )
        ),
        "postcast_edge_turn_seconds_count 2.0",
        "postcast_edge_turn_seconds_sum 0.2505",
        *(
            f'postcast_edge_turn_cpu_seconds_bucket{{le="{bound}"}} {count}'
            for bound, count in (
                *((small, 1.0) for small in ("0.001", "0.002", "0.005", "0.01")),
                *((large, 2.0) for large in ("0.02", "0.05", "0.1", "0.2", "0.5", "1.0", "+Inf")),
            )
        ),
        "postcast_edge_turn_cpu_seconds_count 2.0",
        "postcast_edge_turn_cpu_seconds_sum 0.02025",
        f'postcast_build_info{{version="{streams.__version__}"}} 1.0',
    ]


def test_positions_are_measured_where_they_are_stored() -> None:
    """What waits, for how long, and whether the database is there."""
    log = log_of(record(1))
    around = Surroundings(hub_of(log, Loop(), 1), gate())
    parts = partial(
        Metrics, log, Numbers(), around, TurnTimes(), replays=Gone(), admin=gate(), output=Numbers(), posts=Numbers()
    )
    with_store, without = parts(positions=Figures()), parts()
    told, others = (generate_latest(metrics.registry()).decode().splitlines() for metrics in (with_store, without))
    assert [line for line in told if line.startswith("postcast_edge_positions")] == [
        "postcast_edge_positions_reachable 0.0",
        "postcast_edge_positions_waiting 4.0",
        "postcast_edge_positions_waiting_seconds 2.5",
        "postcast_edge_positions_stored_total 30.0",
        'postcast_edge_positions_asked_total{outcome="done",what="read"} 3.0',
        'postcast_edge_positions_asked_total{outcome="done",what="write"} 7.0',
        'postcast_edge_positions_asked_total{outcome="failed",what="write"} 1.0',
    ]
    assert not any("postcast_edge_positions" in line for line in others)
