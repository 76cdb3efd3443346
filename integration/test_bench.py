"""Every part of the benchmark still measures; how fast anything is, no test says."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from integration.bench import attack, fanout, idle, outage, path, rebalance, window
from integration.bench.figures import Figure, Goal, ratio, table
from integration.bench.stage import Stage
from integration.services import Services

Measure = Callable[[Stage], Awaitable[list[Figure]]]

# Small enough for seconds, and still every server, every client and every step.
_PARTS: dict[str, tuple[Measure, int]] = {
    path.PART: (lambda stage: path.measure(stage, path.Size(posts=100, repetitions=1)), 5),
    window.PART: (
        lambda stage: window.measure(stage, window.Size(window_seconds=1, clients=(1, 3), posts=(5,), repetitions=1)),
        2,
    ),
    fanout.PART: (
        lambda stage: fanout.measure(
            stage,
            fanout.Size(
                clients=40, repetitions=1, windows={2: dict.fromkeys((fanout.EDGE, fanout.SEND_EACH, fanout.LIMIT), 60)}
            ),
        ),
        5,
    ),
    idle.PART: (lambda stage: idle.measure(stage, idle.Size(clients=50, repetitions=1)), 2),
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
