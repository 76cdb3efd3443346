"""Attackers in one process of the lowest priority.

``python -m integration.bench.attackers PORT`` is told ``{"begin": name, "connections": n}``: it ends the attack that is
under way, replies with what those attackers ``got``, and begins the next: ``name`` is one of ``integration.attackers``,
or null for none.
"""

import asyncio
import json
import os
import sys
from collections import Counter

from integration import attackers
from integration.attackers import Attacker
from integration.bench.companion import reply

# Whoever else wants the processor gets it.
_LOWEST = 19


async def _attack(port: int, attacker: Attacker, got: Counter[str]) -> None:
    while True:
        got[await attacker(port)] += 1


async def _run(port: int) -> None:
    tasks: list[asyncio.Task[None]] = []
    got: Counter[str] = Counter()
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        for task in tasks:
            task.cancel()
        if tasks:
            # One that ended by itself met something that no attacker expects.
            failures = [end for end in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(end, OSError)]
            got.update(type(failure).__name__ for failure in failures)
        reply(got=got)
        got = Counter()
        name = command["begin"]
        tasks = [
            asyncio.create_task(_attack(port, getattr(attackers, name), got))
            for _ in range(command["connections"] if name else 0)
        ]


def main() -> None:
    """Do as told until there is nobody to tell."""
    os.nice(_LOWEST)
    asyncio.run(_run(int(sys.argv[1])))


if __name__ == "__main__":
    main()
