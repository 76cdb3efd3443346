"""``python -m integration.cluster [ONLY...]``: break brokers of a cluster of three, and say whether a law broke too."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import warnings
from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from integration import containers
from integration.cluster.acts import Brokers
from integration.cluster.brokers import Cluster
from integration.cluster.law import SILENCE_SECONDS, charged
from integration.cluster.stage import ClusterStage
from integration.elapsed import say
from integration.faults.installation import Installation
from integration.faults.outcome import Outcome, line, sentences
from integration.faults.results import append
from integration.faults.runner import Setting, running
from integration.faults.scene import Unprovable
from integration.faults.schedule import Fault
from integration.service import ServiceError

CLEAN, CHARGED, UNPROVEN, INTERRUPTED = 0, 1, 2, 130
"""As the fault checker's: all clean; a law was broken; something could not be shown to have happened; Ctrl-C."""

_WORKERS: Final = 2
_WINDOW_SECONDS: Final = 5.0
"""The product's own default."""
_POSTS_A_TICK: Final = 2
"""20 posts a second."""
_BEGIN_MS: Final = 6_000
"""After the end of a window: how long clients see nothing is counted from the last post that they saw."""
_AWAY_MS: Final = 20_000
"""Beyond Kafka's session of 9 s, and beyond all that clients need then."""
_LEADERLESS_MS: Final = 40_000
"""Beyond any patience that a worker may have with itself."""
_DEFAULT_SESSION_MS: Final = 9_000

GROUPS: Final[dict[str, Sequence[Fault]]] = {
    name: [Fault(kind, ("brokers",), at_ms=_BEGIN_MS, lasts_ms=lasts_ms) for kind in kinds]
    for name, kinds, lasts_ms in (
        ("kills", ("kill leader", "kill coordinator", "kill other"), _AWAY_MS),
        ("roll", ("roll brokers",), 0),
        ("freeze", ("freeze leader",), _AWAY_MS),
        ("cut_off", ("cut-off leader",), _AWAY_MS),
        ("too_few", ("too-few brokers",), _AWAY_MS),
        ("leaderless", ("leaderless partitions",), _LEADERLESS_MS),
    )
}
"""What can be selected, and its faults."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="make cluster", description="Break brokers, and see whether a law breaks.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"what to run alone: {', '.join(GROUPS)}")
    only = parser.parse_args(arguments).only or list(GROUPS)
    if unknown := set(only) - GROUPS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    image = os.environ.get("KAFKA_IMAGE") or containers.KAFKA_IMAGE
    if lack := containers.why_no_engine() or containers.why_no_image(image):
        print(
            f"cluster: {lack}. Three brokers are three containers: install Docker (on Debian and Ubuntu the package "
            "docker.io) and start it, or let DOCKER_HOST name an engine; KAFKA_IMAGE names another image. "
            "Nothing was tested.",
            file=sys.stderr,
        )
        return UNPROVEN if os.environ.get("POSTCAST_REQUIRE_ALL") == "1" else CLEAN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore", "coroutine 'Connection.close' was never awaited", RuntimeWarning)
    containers.use_reaper_if_there()
    outcomes: list[Outcome] = []
    code = CLEAN
    try:
        for session_ms in SILENCE_SECONDS:
            # What does not depend on Kafka's patience is tried with its default.
            names = [name for name in GROUPS if name in only and (session_ms == _DEFAULT_SESSION_MS or name == "kills")]
            if names:
                _try(image, session_ms, names, outcomes)
    except (ServiceError, TimeoutError, Unprovable) as error:
        print(f"cluster: {str(error) or 'a schedule took too long'}", file=sys.stderr)
        code = UNPROVEN
    except KeyboardInterrupt:
        print("cluster: interrupted", file=sys.stderr)
        code = INTERRUPTED
    print("\n".join(["", *map(_told, outcomes)]), flush=True)
    if code == CLEAN and any(outcome.void for outcome in outcomes):
        code = UNPROVEN
    return CHARGED if code != INTERRUPTED and any(outcome.charges for outcome in outcomes) else code


def _try(image: str, session_ms: int, names: Collection[str], outcomes: list[Outcome]) -> None:
    with ClusterStage(say, Cluster(image, session_ms)) as stage:
        asyncio.run(_schedules(stage, [name for name in names if name != "leaderless"], outcomes))
        if "leaderless" in names:
            stage.single_copies = True
            asyncio.run(_schedules(stage, ["leaderless"], outcomes))


async def _schedules(stage: ClusterStage, names: Sequence[str], outcomes: list[Outcome]) -> None:
    """Run the schedules on one installation, each with one fault."""
    if not names:
        return
    session_ms = stage.cluster.session_ms
    make = partial(Installation, workers=_WORKERS, window_seconds=_WINDOW_SECONDS)
    setting = Setting(acts=Brokers(stage.cluster).acts, posts_a_tick=_POSTS_A_TICK)
    async with running(stage, make=make, say=say, setting=setting) as runner:
        for fault in (fault for name in names for fault in GROUPS[name]):
            say(f"{fault.kind}, with broker.session.timeout.ms={session_ms}")
            outcome = await runner.run(f"{fault.kind} at {session_ms} ms", [fault])
            outcome = charged(outcome, session_ms, _WINDOW_SECONDS)
            outcomes.append(outcome)
            append(outcome)
            say(f"{line(outcome)}; longest silence {outcome.silence:.1f} s")
            if outcome.charges or outcome.void:
                print("\n".join(sentences(outcome)), flush=True)


def _told(outcome: Outcome) -> str:
    evidence = "; ".join(fault.evidence or "no proof" for fault in outcome.faults)
    return f"{outcome.name}: {outcome.word}, longest silence {outcome.silence:.1f} s - {evidence}"


if __name__ == "__main__":
    sys.exit(main())
