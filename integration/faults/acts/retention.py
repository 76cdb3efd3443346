"""The feed's retention passes an edge that is away."""

import asyncio

from integration.faults import logs
from integration.faults.installation import WINDOW_SECONDS
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault


async def retention(scene: Scene, fault: Fault) -> str:
    """Freeze an edge, let the feed grow, cut off what it has not read, and let it go on."""
    name = fault.targets[0]
    kafka_url, feed = scene.stage.kafka.url, scene.installation.system.feed
    await scene.until_ready(name)
    with scene.installation.attending(name) as [edge]:
        # A repeat of a post whose first record is gone cannot be known: nothing may be left to be repeated.
        async with scene.announcer.paused():
            await scene.until_settled()
        await asyncio.to_thread(edge.pause)
        try:
            first = await logs.end(kafka_url, feed)
            await asyncio.sleep(WINDOW_SECONDS + fault.lasts_ms / 1000)
            last = await logs.end(kafka_url, feed)
            # The other edge reads at once what is there; it would have a gap too, and rightly.
            await asyncio.sleep(1)
            await logs.cut(kafka_url, feed, before=last)
        finally:
            await asyncio.to_thread(edge.resume)
        if last <= first:
            raise Unprovable("the feed did not grow")
        # What comes while it begins anew is in its gap, too: the other edge has to live to show that.
        await asyncio.to_thread(
            edge.until, lambda: edge.metric("postcast_edge_feed_offset") >= last and edge.is_ready(), "has begun anew"
        )
    return f"{name} was frozen while records {first} to {last - 1} went"
