"""``python -m integration.faults [--schedules N] [--seed S]``: break everything, and say whether a law broke too."""

import argparse
import asyncio
import logging
import signal
import sys
import warnings
from collections.abc import Sequence

from integration.elapsed import say
from integration.faults.installation import Installation
from integration.faults.mutants import MUTANTS
from integration.faults.outcome import Outcome, line, sentences, table, total
from integration.faults.results import append, write
from integration.faults.runner import Setting, running
from integration.faults.scene import Unprovable
from integration.faults.schedule import HANDS, NEEDS_DURABLE_KAFKA, deal, queue_arguments, systems
from integration.faults.stage import Stage
from integration.service import ServiceError

CLEAN, CHARGED, UNPROVEN, INTERRUPTED = 0, 1, 2, 130
"""The exit codes: all that was asked for was counted and clean; the product broke a law (or a mutant was not
caught); too few schedules could be counted; Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="make faults", description="Break everything, and see whether a law breaks.")
    parser.add_argument("--schedules", type=int, default=HANDS, help="how many seeds, one after the other")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--mutants", action="store_true", help="run the mutants first, which must be caught")
    given = parser.parse_args(arguments)
    # SIGTERM is what a CI host sends: it should leave as little behind as Ctrl-C does, also where Ctrl-C is ignored, as
    # it is by what a script starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # What the clients' libraries have to say while everything breaks is what is wanted.
    logging.disable(logging.CRITICAL)
    # aio-pika's, when a connection that could not be made is forgotten: our announcer makes many of these.
    warnings.filterwarnings("ignore", "coroutine 'Connection.close' was never awaited", RuntimeWarning)
    outcomes: list[Outcome] = []
    services: dict[str, str] = {}
    code = CLEAN
    try:
        with Stage(say) as stage:
            services = {service.name: service.how for service in stage}
            if given.mutants:
                code = asyncio.run(_mutants(stage))
            if code == CLEAN:
                code = asyncio.run(_schedules(stage, range(given.seed, given.seed + given.schedules), outcomes))
    except (ServiceError, TimeoutError, Unprovable) as error:
        print(f"faults: {str(error) or 'a schedule took too long'}", file=sys.stderr)
        code = UNPROVEN
    except ExceptionGroup as errors:
        # A service that does not start again, in the middle of a schedule; anything else is a fault of the checker's.
        services_lost, others = errors.split(ServiceError)
        if others is not None or services_lost is None:
            raise
        print(f"faults: {_first_of(services_lost)}", file=sys.stderr)
        code = UNPROVEN
    except KeyboardInterrupt:
        print("faults: interrupted", file=sys.stderr)
        code = INTERRUPTED
    if outcomes:
        print(f"\n{table(outcomes)}\n\n{total(outcomes)}\nwritten to {write(outcomes, services)}")
    return code


async def _schedules(stage: Stage, seeds: Sequence[int], outcomes: list[Outcome]) -> int:
    without = frozenset() if stage.kafka.durable else NEEDS_DURABLE_KAFKA
    if without:
        say(f"left out, since this Kafka keeps everything in memory: {', '.join(sorted(without))}")
    for some in systems(seeds):
        setting = Setting(queue_arguments=queue_arguments(some[0]))
        async with running(stage, make=Installation, say=say, setting=setting) as runner:
            for seed in some:
                outcome = await runner.run(f"seed {seed}", deal(seed, without))
                if outcome.void and not outcome.charges:
                    # One fault may take from another what it was to break: then they do not meet so the second time.
                    say(f"{line(outcome)}: again")
                    outcome = await runner.run(f"seed {seed}", deal(seed, without))
                outcomes.append(outcome)
                append(outcome)
                say(line(outcome))
                if outcome.charges or outcome.void:
                    print("\n".join(sentences(outcome)), flush=True)
                if outcome.charges:
                    print(f"again: make faults SCHEDULES=1 SEED={seed}", flush=True)
                    return CHARGED
    return UNPROVEN if any(outcome.void for outcome in outcomes) else CLEAN


async def _mutants(stage: Stage) -> int:
    """Run each mutant through the faults that it cannot survive; it must be charged with what it does."""
    for mutant in MUTANTS:
        async with running(stage, make=mutant.installation, say=say) as runner:
            outcome = await runner.run(f"mutant {mutant.name!r}", mutant.faults)
        say(line(outcome))
        if not mutant.expected & outcome.charges.keys():
            print("\n".join(sentences(outcome)))
            print(f"the checker did not see that {mutant.name}", flush=True)
            return CHARGED
    return CLEAN


def _first_of(errors: BaseException) -> BaseException:
    return _first_of(errors.exceptions[0]) if isinstance(errors, BaseExceptionGroup) else errors


if __name__ == "__main__":
    sys.exit(main())
