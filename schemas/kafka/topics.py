"""The map of the log: every topic, what stands on it, and how long Kafka keeps it."""

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
"""The largest record on any topic. 2,048 vectors of 3,072 numbers, the most that anybody gives at once, are 34 MB."""
MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""The largest body of a request, and so the ceiling of every body limit."""
MAX_ANSWER_BYTES = MAX_MESSAGE_BYTES - 2 * MAX_REQUEST_BYTES
"""The largest answer. A record holds it beside the question, or beside what was sent, which may be longer than that."""

MAX_NAME_LENGTH = 249
"""Of a topic's name, by Kafka."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as the broker shall hold it."""

    name: str
    events: tuple[type[Event], ...]
    retention_ms: int
    partitions: int
    cleanup: Literal["delete", "compact"] = "delete"

    @property
    def dead_letters(self) -> str:
        """Where what can't be processed goes, untouched. Spring's name for it."""
        return f"{self.name}-dlt"


@dataclass(frozen=True, slots=True)
class LaneTopics:
    """The topics that the requests of one lane take, from the door to the call. What comes after is everybody's."""

    requests: Topic
    admitted: Topic
    routed: Topic


RetentionKey = Literal[
    "requests", "admitted", "routed", "attempts", "outcomes", "replies", "feedback", "health", "dead_letters"
]
"""What an operator may say of how long Kafka keeps it. The configuration that was in force is kept for good."""


class Topics:
    """All topics under one prefix.

    ``partitions`` is the same for every topic of the pipeline, since a request keeps its partition from stage to stage.
    ``tenants`` each own a request topic, guarded by the broker's ACLs. None may be named ``batch``: that is a lane.
    ``retention_hours`` says for some how long Kafka keeps them, in place of what stands here.
    """

    def __init__(
        self,
        prefix: str = "llm.",
        partitions: int = 4,
        tenants: tuple[str, ...] = (),
        retention_hours: Mapping[RetentionKey, int] = MappingProxyType({}),
    ) -> None:
        hours = {str(name): each for name, each in retention_hours.items()}

        def topic(name: str, events: tuple[type[Event], ...], retention: int) -> Topic:
            kept = hours.get(name.partition(".")[0])
            return Topic(prefix + name, events, kept * HOUR if kept else retention, partitions)

        def way(lane: str) -> LaneTopics:
            return LaneTopics(
                topic(f"requests.{lane}v1", (RequestReceived,), 6 * HOUR),
                topic(f"admitted.{lane}v1", (RequestAdmitted,), 3 * DAY),
                topic(f"routed.{lane}v1", (RequestRouted,), 3 * DAY),
            )

        self.prefix = prefix
        self.interactive = way("")
        self.batch = way("batch.")
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
        self._reply = re.compile(re.escape(prefix + "replies.") + r"[A-Za-z0-9._-]+")

    @property
    def all_requests(self) -> tuple[Topic, ...]:
        """Where requests come in. Bodies on these topics are the filter's alone."""
        return (self.requests, self.batch.requests, *self.tenant_requests.values())

    @property
    def all(self) -> tuple[Topic, ...]:
        """Every topic but the dead letters."""
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
        """What becomes rows in ClickHouse, with the dead letters: all but the replies, which repeat the outcomes."""
        return tuple(topic for topic in self.all if topic is not self.ingress_replies)

    @property
    def dead_letters(self) -> tuple[Topic, ...]:
        """One dead-letter topic for each topic that a stage reads."""
        ways = (topic for way in (self.interactive, self.batch) for topic in (way.admitted, way.routed))
        read = (*self.all_requests, *ways, self.outcomes, self.feedback)
        return tuple(Topic(topic.dead_letters, (), self._dead_letters_ms, topic.partitions) for topic in read)

    def group(self, stage: str) -> str:
        """The consumer group of a stage."""
        return f"{self.prefix}{stage}"

    def sources_of(self, stage: str) -> tuple[Topic, ...]:
        """What a stage consumes; every partition of these must have a worker before a request can be answered."""
        return {
            "filter": self.all_requests,
            "route": (self.admitted, self.batch.admitted),
            "call": (self.routed, self.batch.routed),
            "reply": (self.outcomes,),
            "audit": self.audited + self.dead_letters,
        }[stage]

    def for_lane(self, lane: Lane) -> LaneTopics:
        """The topics of a lane."""
        return self.batch if lane == "batch" else self.interactive

    def is_batch(self, topic: str) -> bool:
        """Whether this topic, told by its name, is of the batch lane: its records come after all others."""
        return topic in self._batch

    def owner_of(self, topic: str) -> str | None:
        """The tenant that owns a request topic; None for the ingress's own, of both lanes."""
        return self._owners.get(topic)

    def is_reply(self, topic: str) -> bool:
        """Whether a caller may name this topic for its reply: no topic of the pipeline, nor the ingress's own."""
        fits = len(topic) <= MAX_NAME_LENGTH and self._reply.fullmatch(topic) is not None
        return fits and topic != self.ingress_replies.name
