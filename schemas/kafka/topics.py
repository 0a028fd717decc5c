"""Topics of the log, with their events, partitions and retention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from schemas.events.catalog import (
    AttemptFinished,
    AttemptStarted,
    AttemptWithdrawn,
    ConfigurationApplied,
    Event,
    FeedbackGiven,
    RequestAdmitted,
    RequestReceived,
    RequestRouted,
    RequestSettled,
    TargetStateChanged,
)
from schemas.events.vocabulary import Lane

HOUR = 3_600_000
DAY = 24 * HOUR

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest record on any topic. The largest known answer, 2,048 vectors of 3,072 numbers, has 34 MB."""
MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Largest body of a request, and so the upper bound of every body limit."""
MAX_ANSWER_BYTES = MAX_MESSAGE_BYTES - 2 * MAX_REQUEST_BYTES
"""Largest answer. A record contains it together with the request's body or the body sent, which may be longer."""

MAX_NAME_LENGTH = 249
"""Kafka's limit for the length of a topic name."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Topic with its desired configuration."""

    name: str
    events: tuple[type[Event], ...]
    retention_ms: int
    partitions: int
    cleanup: Literal["delete", "compact"] = "delete"

    @property
    def dead_letters(self) -> str:
        """Name of the topic for records that cannot be processed, in Spring's convention. They are kept unchanged."""
        return f"{self.name}-dlt"


@dataclass(frozen=True, slots=True)
class LaneTopics:
    """Topics of one lane, from the ingress to the call stage. All later topics are shared by the lanes."""

    requests: Topic
    admitted: Topic
    routed: Topic


RetentionKey = Literal[
    "requests", "admitted", "routed", "attempts", "outcomes", "replies", "feedback", "health", "dead_letters"
]
"""Topics whose retention can be configured. The configuration topic is compacted and kept forever."""


class Topics:
    """All topics under one prefix.

    ``partitions`` is the same for every topic of the pipeline, because a request keeps its partition in all stages.
    Each of ``tenants`` owns a request topic, protected by the broker's ACLs. None may be named ``batch``, a lane.
    ``retention_hours`` replaces the default retention of some topics. ``reply_topics`` are those of a tenant in
    addition to ``replies.<tenant>`` and the topics below it: exact names, or patterns that end in ``.*``. The
    ``open_tenant``, if there is one, owns every reply topic that no other tenant owns.
    """

    def __init__(
        self,
        prefix: str = "llm.",
        partitions: int = 4,
        tenants: tuple[str, ...] = (),
        retention_hours: Mapping[RetentionKey, int] = MappingProxyType({}),
        *,
        reply_topics: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        open_tenant: str = "",
    ) -> None:
        hours = {str(name): value for name, value in retention_hours.items()}

        def topic(name: str, events: tuple[type[Event], ...], retention: int) -> Topic:
            configured = hours.get(name.partition(".")[0])
            return Topic(prefix + name, events, configured * HOUR if configured else retention, partitions)

        def lane_topics(lane: str) -> LaneTopics:
            return LaneTopics(
                topic(f"requests.{lane}v1", (RequestReceived,), 6 * HOUR),
                topic(f"admitted.{lane}v1", (RequestAdmitted,), 3 * DAY),
                topic(f"routed.{lane}v1", (RequestRouted,), 3 * DAY),
            )

        self.prefix = prefix
        self.interactive = lane_topics("")
        self.batch = lane_topics("batch.")
        self.requests = self.interactive.requests
        self.tenant_requests = {
            tenant: topic(f"requests.{tenant}.v1", (RequestReceived,), 6 * HOUR) for tenant in tenants
        }
        self._owners = {owned.name: tenant for tenant, owned in self.tenant_requests.items()}
        self.admitted = self.interactive.admitted
        self.routed = self.interactive.routed
        self.attempts = topic("attempts.v1", (AttemptStarted, AttemptFinished, AttemptWithdrawn), 3 * DAY)
        self.outcomes = topic("outcomes.v1", (RequestSettled,), 14 * DAY)
        self.ingress_replies = topic("replies.ingress.v1", (), HOUR)
        self.feedback = topic("feedback.v1", (FeedbackGiven,), 14 * DAY)
        self.health = topic("health.v1", (TargetStateChanged,), 14 * DAY)
        self.config = Topic(prefix + "config.v1", (ConfigurationApplied,), -1, 1, "compact")
        self._dead_letters_ms = hours.get("dead_letters", 14 * DAY // HOUR) * HOUR
        self._batch = {topic.name for topic in (self.batch.requests, self.batch.admitted, self.batch.routed)}
        self._reply_topics = {
            tenant: (*_reply_patterns(prefix, tenant), *reply_topics.get(tenant, ())) for tenant in tenants
        }
        self._open_tenant = open_tenant
        self._reply = re.compile(re.escape(prefix + "replies.") + r"[A-Za-z0-9._-]+")

    @property
    def all_requests(self) -> tuple[Topic, ...]:
        """Request topics. Only the filter reads the bodies on them."""
        return (self.requests, self.batch.requests, *self.tenant_requests.values())

    @property
    def all(self) -> tuple[Topic, ...]:
        """All topics except the dead-letter topics."""
        return (
            *self.all_requests,
            self.admitted,
            self.batch.admitted,
            self.routed,
            self.batch.routed,
            self.attempts,
            self.outcomes,
            self.ingress_replies,
            self.feedback,
            self.health,
            self.config,
        )

    @property
    def audited(self) -> tuple[Topic, ...]:
        """Topics that audit stores, together with the dead letters: all except replies, which repeat outcomes."""
        return tuple(topic for topic in self.all if topic is not self.ingress_replies)

    @property
    def dead_letters(self) -> tuple[Topic, ...]:
        """One dead-letter topic for each topic that a stage reads."""
        lanes = (topic for lane in (self.interactive, self.batch) for topic in (lane.admitted, lane.routed))
        read = (*self.all_requests, *lanes, self.outcomes, self.feedback)
        return tuple(Topic(topic.dead_letters, (), self._dead_letters_ms, topic.partitions) for topic in read)

    def group(self, stage: str) -> str:
        """Return the consumer group of a stage."""
        return f"{self.prefix}{stage}"

    def sources_of(self, stage: str) -> tuple[Topic, ...]:
        """Return the topics that a stage consumes. Requests need a worker on each of their partitions."""
        return {
            "filter": self.all_requests,
            "route": (self.admitted, self.batch.admitted),
            "call": (self.routed, self.batch.routed),
            "reply": (self.outcomes,),
            "audit": self.audited + self.dead_letters,
        }[stage]

    def for_lane(self, lane: Lane) -> LaneTopics:
        """Return the topics of a lane."""
        return self.batch if lane == "batch" else self.interactive

    def is_batch(self, topic: str) -> bool:
        """Return whether the topic belongs to the batch lane, whose records are processed after all others."""
        return topic in self._batch

    def owner_of(self, topic: str) -> str | None:
        """Return the tenant that owns a request topic; None for the ingress's request topics of both lanes."""
        return self._owners.get(topic)

    def is_reply(self, topic: str) -> bool:
        """Return whether a caller may name this topic: none of the pipeline, of dead letters or of the ingress."""
        fits = len(topic) <= MAX_NAME_LENGTH and self._reply.fullmatch(topic) is not None
        return fits and topic != self.ingress_replies.name and not topic.endswith("-dlt")

    def reply_patterns(self, tenant: str) -> tuple[str, ...]:
        """Return the reply topics of a tenant: exact names, and patterns that end in ``.*``."""
        if tenant == self._open_tenant:
            return (f"{self.prefix}replies.*",)
        return self._reply_topics.get(tenant) or _reply_patterns(self.prefix, tenant)

    def is_reply_of(self, tenant: str, topic: str) -> bool:
        """Return whether a tenant may name this topic: a reply topic that it owns."""
        if not self.is_reply(topic):
            return False
        if tenant != self._open_tenant or _matches(topic, self._reply_topics.get(tenant, ())):
            return _matches(topic, self.reply_patterns(tenant))
        return not any(_matches(topic, owned) for other, owned in self._reply_topics.items() if other != tenant)


def _reply_patterns(prefix: str, tenant: str) -> tuple[str, ...]:
    return f"{prefix}replies.{tenant}", f"{prefix}replies.{tenant}.*"


def _matches(topic: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a pattern is this topic, or ends in ``.*`` and stands for a topic below its name."""
    return any(topic.startswith(each[:-1]) if each.endswith(".*") else topic == each for each in patterns)
