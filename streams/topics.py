"""The topics that the worker needs: created where they are missing, checked where they exist.

A topic that exists keeps its configuration: it is the operator's. What cannot work ends the worker with a sentence
(:class:`WrongTopic`); what works and keeps less than it promises is a warning. :func:`judge` decides, without Kafka.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError, TopicAlreadyExistsError, for_code

from runtime.kafka import obstacle
from runtime.kafka_connections import stopped
from streams.settings import TopicSettings
from streams.telemetry import log

_REQUEST_TIMEOUT_MS: Final = 10_000
_DAY_MS: Final = 24 * 60 * 60 * 1000
_MESSAGE_BYTES: Final = 1_048_588
"""Kafka's default for ``max.message.bytes``, for which our batches are made."""


class WrongTopic(Exception):
    """A topic exists in a form with which the worker cannot work. The message is a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the worker expects of a topic, and the settings to name in a sentence."""

    name: str
    partitions: int
    replication: int
    days: int
    variable: str
    """The setting that holds its name."""
    days_variable: str
    is_ordered: bool = False
    """Whether the order of all its records is a promise, which one partition alone keeps."""

    @property
    def in_sync(self) -> int:
        """A majority of the replicas: of three one may be away, and what is confirmed is on two."""
        return self.replication // 2 + 1

    def configuration(self) -> dict[str, str]:
        """Return the configuration with which the topic is created."""
        return {
            "cleanup.policy": "delete",
            "min.insync.replicas": str(self.in_sync),
            "retention.ms": str(self.days * _DAY_MS),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as Kafka describes it. A configuration that cannot be read is empty."""

    partitions: int
    replication: int
    """The fewest replicas that one of its partitions has."""
    configuration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Sentences without their full stops: what makes a topic unusable, and what it does not keep."""

    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()


def wanted_topics(settings: TopicSettings) -> list[Wanted]:
    """Return the three topics as the settings describe them."""
    replication = settings.kafka_replication
    return [
        Wanted(
            settings.created_topic, settings.created_partitions, replication, settings.retention_days,
            variable="CREATED_TOPIC", days_variable="RETENTION_DAYS",
        ),
        Wanted(
            settings.feed_topic, 1, replication, settings.retention_days,
            variable="FEED_TOPIC", days_variable="RETENTION_DAYS", is_ordered=True,
        ),
        Wanted(
            settings.dead_topic, 1, replication, settings.dead_retention_days,
            variable="DEAD_TOPIC", days_variable="DEAD_RETENTION_DAYS",
        ),
    ]  # fmt: skip


def judge(wanted: Wanted, found: Found) -> Judgement:
    """Compare a topic that exists with what the worker expects of it."""
    errors, warnings = [], []
    topic, rename = f"topic {wanted.name}", f"or set {wanted.variable} to another name"
    in_sync = _integer(found, "min.insync.replicas")
    policy = found.configuration.get("cleanup.policy", "delete")
    if wanted.is_ordered and found.partitions > 1:
        errors.append(f"{topic} has {found.partitions} partitions and must have one: delete it, {rename}")
    if "compact" in policy:
        errors.append(
            f"{topic} is compacted, which removes records that are needed: give it cleanup.policy=delete, {rename}"
        )
    if in_sync is not None and in_sync > found.replication:
        errors.append(
            f"{topic} takes no writes, since it has {found.replication} replicas and min.insync.replicas={in_sync}"
        )
    if found.partitions < wanted.partitions:
        warnings.append(
            f"{topic} has {found.partitions} partitions, and CREATED_PARTITIONS={wanted.partitions}: at most"
            f" {found.partitions} workers share the work"
        )
    if found.replication < wanted.replication:
        warnings.append(
            f"{topic} has {found.replication} replicas, and KAFKA_REPLICATION={wanted.replication}: with them its"
            " records are lost"
        )
    majority = found.replication // 2 + 1
    if in_sync is not None and in_sync < majority:
        warnings.append(
            f"{topic} has min.insync.replicas={in_sync} of {found.replication} replicas: what is confirmed may be lost"
            f" with so many brokers; a majority is {majority}"
        )
    if in_sync is not None and majority < in_sync <= found.replication:
        warnings.append(
            f"{topic} has min.insync.replicas={in_sync} of {found.replication} replicas: writes stop while a"
            " majority is there"
        )
    return Judgement(errors, [*warnings, *_what_is_removed(wanted, found), *_what_is_refused(wanted, found)])


def _what_is_removed(wanted: Wanted, found: Found) -> list[str]:
    sentences = []
    kept_ms = _integer(found, "retention.ms")
    if kept_ms is not None and 0 <= kept_ms < wanted.days * _DAY_MS:
        sentences.append(
            f"topic {wanted.name} keeps records for {kept_ms / _DAY_MS:.3g} days (retention.ms={kept_ms}), and"
            f" {wanted.days_variable}={wanted.days}"
        )
    if (kept_bytes := _integer(found, "retention.bytes")) is not None and kept_bytes >= 0:
        sentences.append(
            f"topic {wanted.name} has retention.bytes={kept_bytes}: records may be removed before"
            f" {wanted.days_variable}={wanted.days}"
        )
    return sentences


def _what_is_refused(wanted: Wanted, found: Found) -> list[str]:
    largest = _integer(found, "max.message.bytes")
    if largest is None or largest >= _MESSAGE_BYTES:
        return []
    sentence = f"topic {wanted.name} has max.message.bytes={largest}: Kafka refuses larger batches of records"
    return [f"{sentence}, and {_MESSAGE_BYTES} are expected"]


def _integer(found: Found, name: str) -> int | None:
    value = found.configuration.get(name)
    return None if value is None else int(value)


async def declare_topics(settings: TopicSettings) -> None:
    """Create the topics that are missing, and check those that exist; raises :class:`WrongTopic`, or KafkaError.

    The order of the feed is part of the promise (one partition) and the number of partitions of posts.created is what
    workers share, so no broker's default will do.
    """
    wanted = wanted_topics(settings)
    client = settings.kafka_client("postcast-worker")
    admin = AIOKafkaAdminClient(**client, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        try:
            await admin.start()
        except KafkaConnectionError as error:
            raise KafkaConnectionError(str(await obstacle(client) or error)) from error
        there = set(await admin.list_topics())
        there |= await _create(admin, [each for each in wanted if each.name not in there])
        existing = [each for each in wanted if each.name in there]
        found = await _describe(admin, [each.name for each in existing])
    finally:
        await stopped(admin.close)
    judgements = [judge(each, found[each.name]) for each in existing if each.name in found]
    for warning in (sentence for judgement in judgements for sentence in judgement.warnings):
        log.warning("topic.differs", why=warning)
    if errors := [sentence for judgement in judgements for sentence in judgement.errors]:
        raise WrongTopic(".\n".join(errors))


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[Wanted]) -> set[str]:
    """Create topics; return those that exist because another worker, or the operator, was quicker."""
    if not missing:
        return set()
    topics = [NewTopic(w.name, w.partitions, w.replication, topic_configs=w.configuration()) for w in missing]
    try:
        answer = await admin.create_topics(topics)
    except AttributeError as missing_controller:
        # aiokafka asks for the number of the controller, also where there is none yet.
        raise KafkaConnectionError("Kafka has no controller yet") from missing_controller
    quicker = set()
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:
            quicker.add(name)
        elif code != 0:
            raise error(f"topic {name} cannot be created")
    return quicker


async def _describe(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, Found]:
    """Return the topics that Kafka describes: one that was just created may not be known to every broker yet."""
    if not names:
        return {}
    configurations = await _configurations(admin, names)
    return {
        topic["topic"]: Found(
            partitions=len(topic["partitions"]),
            replication=min(len(partition["replicas"]) for partition in topic["partitions"]),
            configuration=configurations.get(topic["topic"], {}),
        )
        for topic in await admin.describe_topics(names)
        if topic["partitions"]
    }


async def _configurations(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the topics' configurations; those that may not be read, or of a broker that cannot tell, are left out."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        responses = await admin.describe_configs(resources)
    except IncompatibleBrokerVersion as error:
        _unreadable(names, error)
        return {}
    read = {}
    for code, message, _, name, entries in (resource for response in responses for resource in response.resources):
        if code:
            _unreadable([name], for_code(code)(message))
        else:
            read[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return read


def _unreadable(names: list[str], error: Exception) -> None:
    log.info("topic.unchecked", topics=names, why=f"Kafka does not tell how they are configured: {error!r}")
