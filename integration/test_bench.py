"""Every part of the benchmark still measures; how fast anything is, no test says."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError

from integration.bench import (
    attack,
    comeback,
    compression,
    contenders,
    cores,
    fanout,
    filters,
    idle,
    latency,
    outage,
    path,
    positions,
    rebalance,
    replay,
    resting,
    scale,
    slow,
    storm,
    upheaval,
    window,
)
from integration.bench.figures import Figure, Goal, percentile, ratio, table
from integration.bench.rivals import CENTRIFUGO
from integration.bench.stage import Stage
from integration.conftest import lacking
from integration.services import Services

Measure = Callable[[Stage], Awaitable[list[Figure]]]

# Small enough for seconds, and still every client and every step, and every server but Centrifugo, which is minutes of
# compiling where no cache has it.
_PARTS: dict[str, tuple[Measure, int]] = {
    path.PART: (lambda stage: path.measure(stage, path.Size(posts=100, repetitions=1)), 6),
    window.PART: (
        lambda stage: window.measure(stage, window.Size(clients=(1, 3), posts=(5,), repetitions=1)),
        2,
    ),
    compression.PART: (
        lambda stage: compression.measure(
            stage, compression.Size(clients=(5,), posts=(5, 20), repetitions=1, seconds=0.02)
        ),
        4,
    ),
    filters.PART: (lambda stage: filters.measure(stage, filters.Size(clients=30, authors=20, windows=3)), 8),
    cores.PART: (
        lambda stage: cores.measure(stage, cores.Size(clients=60, posts={1: 2, 5: 3}, seconds=0.1, repetitions=1)),
        11,
    ),
    latency.PART: (lambda stage: latency.measure(stage, latency.Size(clients=(3, 20), windows=3)), 8),
    slow.PART: (lambda stage: slow.measure(stage, slow.Size(clients=20, slow=3, seconds=2, pace=0.05, runs=1)), 6),
    comeback.PART: (
        lambda stage: comeback.measure(
            stage, comeback.Size(head=5, rate=20, posts=5, records=100, windows=5, cpu_seconds=0.5)
        ),
        13,
    ),
    replay.PART: (
        lambda stage: replay.measure(stage, replay.Size(clients=20, head=5, posts=5, behind=300, reach=20, windows=3)),
        6,
    ),
    storm.PART: (lambda stage: storm.measure(stage, storm.Size(clients=30, missed=3, drain_seconds=1, returns=2)), 13),
    idle.PART: (
        lambda stage: idle.measure(
            stage,
            idle.Size(clients=50, a_process=20, compressors=20, layered=40, repetitions=1, without=[CENTRIFUGO]),
        ),
        20,
    ),
    resting.PART: (
        lambda stage: resting.measure(stage, resting.Size(clients=20, a_process=10, seconds=1, repetitions=1)),
        3,
    ),
    scale.PART: (lambda stage: scale.measure(stage, scale.Size(clients=31, edges=2, posts={1: 2, 50: 1})), 13),
    attack.PART: (
        lambda stage: attack.measure(
            stage, attack.Size(clients=5, windows=10, repetitions=1, attacks={"dripping": 3, "pinging": 2})
        ),
        8,
    ),
    outage.PART: (
        lambda stage: outage.measure(
            stage, outage.Size(posts_per_second=50, calm_seconds=1, outage_seconds=3, max_held=50)
        ),
        11,
    ),
    rebalance.PART: (
        lambda stage: rebalance.measure(stage, rebalance.Size(repetitions=1, calm_seconds=2, storm_seconds=3)),
        2,
    ),
}


@pytest.fixture
def stage(services: Services, tmp_path: Path) -> Stage:
    """Use the session's services, and tell nobody of the progress."""
    return Stage(services, tmp_path, lambda _: None)


@pytest.mark.parametrize("part", _PARTS)
async def test_each_part_measures_all_its_figures(stage: Stage, part: str) -> None:
    """Complete: a client that got a byte too few or too many ends the part with an error."""
    measure, count = _PARTS[part]
    figures = await measure(stage)
    assert [figure.part for figure in figures] == [part] * count
    assert all(figure.values for figure in figures)


async def test_positions_are_measured(stage: Stage) -> None:
    """PostgreSQL's part where it is a process of ours; each acknowledgement is answered, none in vain."""
    figures = await positions.measure(stage, positions.Size(devices=20, pace=1200, seconds=2, repetitions=1))
    assert {figure.part for figure in figures} == {positions.PART}
    assert len(figures) in (3, 4)
    assert (figures[0].median, figures[0].note) == (1200, "0 were not")


async def test_an_upheaval_is_measured_where_there_are_transactions(stage: Stage) -> None:
    """The marker of one makes the gap. Everybody is closed; these clients answer no close, so it takes 5 s and more."""
    size = upheaval.Size(clients=40, drain_seconds=1, gap_seconds=15)
    try:
        figures = await upheaval.measure(stage, size)
    except (KafkaError, IncompatibleBrokerVersion, TimeoutError) as error:
        lacking(f"this broker knows no transactions: {error!r}")
    assert [figure.part for figure in figures] == [upheaval.PART] * 4
    assert [figure.median for figure in figures if "closed" in figure.name] == [1, 1]


async def test_every_contender_is_measured_or_said_to_be_missing(stage: Stage) -> None:
    """And the edge is compared with each that is there."""
    figures = await fanout.measure(stage, fanout.Size(turns={40: {2: 1}}, seconds=0.01, without=[CENTRIFUGO]))
    notes = " ".join(figure.note for figure in figures)
    missing = {name for name in contenders.ALL if f"no {name}: " in notes}
    limit = contenders.LIMIT_IN_PYTHON if contenders.LIMIT_IN_C in missing else contenders.LIMIT_IN_C
    rivals = [name for name in contenders.RIVALS if name not in missing]
    assert [figure.name for figure in figures] == [
        f"40 clients, 2 posts a window: {each}"
        for each in (
            *(name for name in contenders.ALL if name not in missing),
            *(f"edge over {name}" for name in (limit, *rivals)),
        )
    ]
    assert all(figure.values for figure in figures)


def test_a_figure_is_judged_by_its_median() -> None:
    """One bad repetition is no verdict."""
    figures = [
        Figure("a", "fast enough", "ratio", [0.9, 0.1, 0.6], Goal("at least", 0.5)),
        Figure("a", "too slow", "ratio", [0.25], Goal("at least", 0.5), note="alone"),
        Figure("b", "too large", "KiB", [20, 24, 28], Goal("at most", 16)),
        Figure("b", "of no goal", "posts/s", [123_456.0]),
    ]
    assert [figure.verdict for figure in figures] == [
        "at least 0.5: met",
        "at least 0.5: short by 50%",
        "at most 16: short by 50%",
        "",
    ]
    assert table(figures).splitlines() == [
        "part  figure       median   unit     range       goal",
        "a     fast enough  0.6      ratio    0.1 to 0.9  at least 0.5: met",
        "a     too slow     0.25     ratio                at least 0.5: short by 50%  alone",
        "b     too large    24       KiB      20 to 28    at most 16: short by 50%",
        "b     of no goal   123,456  posts/s",
    ]


def test_a_ratio_is_taken_repetition_by_repetition() -> None:
    """And a repetition that is missing on one side is an error."""
    assert ratio([1.0, 6.0], [2.0, 3.0]) == [0.5, 2.0]
    with pytest.raises(ValueError, match="longer"):
        ratio([1.0], [2.0, 3.0])


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The smallest that the share does not exceed; never one between two."""
    values = [float(value) for value in range(200, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [100, 198, 200]
    assert percentile([0.25], 0.99) == 0.25
