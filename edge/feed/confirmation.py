"""Where the feed ends, by the word of more than one broker.

It is asked on connections of its own, made for the question: those of a client lead to whom that client takes for the
leader, and one broker that is away would hold up the others.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka.conn import create_conn, get_ip_port_afi
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from edge.feed.leader import Address, Claim, Told, leader, voters
from edge.feed.topic import Unreachable
from streams.contract import Offset

# A healthy broker answers within milliseconds. Three questions, and a second until it is their turn, are less than a
# client waits for its 101.
_SECONDS: Final = 1.0
_NO_REPLICA: Final = -1
_LATEST: Final = -1
_READ_UNCOMMITTED: Final = 0


async def confirmed_end(client: Mapping[str, Any], topic: str) -> Offset:
    """Ask the leader by a majority of its replicas where a topic's partition 0 ends; raises ``Unreachable``.

    ``client`` are the arguments of any of aiokafka's clients.
    """
    servers = {Address(*get_ip_port_afi(server)[:2]) for server in client["bootstrap_servers"]}
    options = {name: value for name, value in client.items() if name != "bootstrap_servers"}
    answers = await _ask_each(servers, topic, options)
    answers |= await _ask_each(voters(answers) - servers, topic, options)
    address = leader(answers)
    if address is None:
        raise Unreachable("no majority of its replicas agrees who leads the feed")
    try:
        return await _end(address, topic, options)
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unreachable(repr(error)) from error


async def _ask_each(addresses: Iterable[Address], topic: str, options: Mapping[str, Any]) -> dict[Address, Told]:
    """Ask brokers at the same time who leads; who does not answer has told nothing."""
    asked = list(addresses)
    told = await asyncio.gather(*(_told(address, topic, options) for address in asked), return_exceptions=True)
    answers = {}
    for address, answer in zip(asked, told, strict=True):
        if isinstance(answer, Told):
            answers[address] = answer
        elif not isinstance(answer, KafkaError | OSError | TimeoutError):
            raise answer
    return answers


async def _told(address: Address, topic: str, options: Mapping[str, Any]) -> Told:
    answer = await _send(address, MetadataRequest([topic], allow_auto_topic_creation=False), options)
    claims = [
        Claim(number, frozenset(replicas))
        for _, _, _, partitions in answer.topics
        for error, partition, number, replicas, *_ in partitions
        if partition == 0 and not error
    ]
    brokers = {number: Address(host, port) for number, host, port, _ in answer.brokers}
    return Told(brokers, claims[0] if claims else None)


async def _end(address: Address, topic: str, options: Mapping[str, Any]) -> Offset:
    answer = await _send(address, OffsetRequest(_NO_REPLICA, _READ_UNCOMMITTED, [(topic, [(0, _LATEST)])]), options)
    [(_, [(_, error, _, offset)])] = answer.topics
    if error:
        raise for_code(error)
    return Offset(offset)


async def _send(address: Address, request: Any, options: Mapping[str, Any]) -> Any:
    async with asyncio.timeout(_SECONDS):
        connection = await create_conn(*address, request_timeout_ms=round(_SECONDS * 1000), **options)
        try:
            return await connection.send(request)
        finally:
            connection.close()
