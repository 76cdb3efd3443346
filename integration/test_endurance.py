"""What shows only after minutes; run by ``make endurance``."""

from pathlib import Path

import pytest

from integration.bench import outage
from integration.bench.stage import Stage
from integration.services import Services

# The worker's own default: what it may hold is to be seen, too.
_MAX_HELD = 100_000
_MIB = 1024 * 1024


@pytest.mark.endurance
@pytest.mark.timeout(1_200)
async def test_memory_does_not_grow_while_the_database_is_away_and_the_backlog_drains(
    services: Services, tmp_path: Path
) -> None:
    """Five minutes at 2,000 posts a second: all of it takes at most 1.2 times what the first minute took."""
    size = outage.Size(posts_per_second=2_000, calm_seconds=10, outage_seconds=300, max_held=_MAX_HELD)
    seen = await outage.observe(Stage(services, tmp_path, print), size)
    for name, peaks in (("worker", seen.worker), ("edge", seen.edge)):
        print(
            f"{name}: {peaks.fifth / _MIB:.0f} MiB after a minute, {peaks.whole / _MIB:.0f} MiB after five "
            f"({peaks.growth:.2f} times), {peaks.after / _MIB:.0f} MiB after the backlog"
        )
    print(f"{seen.posts:,} posts were shown {seen.drained:.0f} s after the database was back")
    assert max(seen.worker.growth, seen.edge.growth) <= outage.ALLOWED_GROWTH
