"""Configuration of the ingress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.kafka.topics import Topics
from streams.config.deployment import ClickHouseSettings, HttpSettings, KafkaSettings, OverloadSettings
from streams.config.settings import Key
from streams.ingress.requests.reply_address import own_partitions
from streams.pipeline.authorization import Authorizer
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_builder import RequestBuilder
from streams.policy.rules import CompiledPolicies


@dataclass(frozen=True, slots=True)
class IngressConfig:
    """The parts of the configuration that the ingress uses."""

    http: HttpSettings
    overload: OverloadSettings
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    topics: Topics
    keys: tuple[Key, ...]
    max_in_flight: Mapping[str, int]
    """Limit of unfinished requests, of those tenants that have one."""
    builder: RequestBuilder
    authorizer: Authorizer
    policies: CompiledPolicies
    signatures: EventSignatures | None
    """Signs the request events; None if they are not signed."""
    config_hash: str

    @property
    def reply_partitions(self) -> tuple[int, ...]:
        """Partitions of the reply topic that this instance reads, and names in its requests."""
        return own_partitions(self.kafka.partitions, self.http.instance, self.http.instances)
