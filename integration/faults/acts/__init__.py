"""How each kind of fault is made: one coroutine for each act, which returns what shows that it happened."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from integration.faults.acts import (
    bulk,
    clocks,
    connections,
    contents,
    crashes,
    databases,
    devices,
    partitions,
    queues,
    retention,
    signals,
)
from integration.faults.scene import Scene
from integration.faults.schedule import Fault

Act = Callable[[Scene, Fault], Awaitable[str]]
"""Break what the fault says for as long as it says, mend it, and return the evidence; raises Unprovable."""

ACTS: Final[Mapping[str, Act]] = {
    "kill": signals.kill,
    "term": signals.term,
    "stop": signals.stop,
    "cut": connections.cut,
    "stall": connections.stall,
    "slow": connections.slow,
    "half-open": connections.half_open,
    "crash": crashes.crash,
    "lock": databases.lock,
    "time-out": databases.time_out,
    "undecodable": contents.undecodable,
    "deleted": contents.deleted,
    "late": contents.late,
    "retention": retention.retention,
    "delete": queues.delete,
    "redeclare": queues.redeclare,
    "outlast": databases.outlast,
    "forget": databases.forget,
    "backlog": bulk.backlog,
    "poison": bulk.poison,
    "clock": clocks.set_back,
    "add": partitions.add,
    # Of mutants alone; no seed has it in its hand.
    "return": devices.come_back,
}
