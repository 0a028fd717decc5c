"""Configuration of the filter stage."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.kafka.topics import Topics
from streams.pipeline.authorization import Authorizer
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_builder import RequestBuilder
from streams.policy.rules import CompiledPolicies


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """The parts of the configuration that the filter stage uses."""

    topics: Topics
    partitions: int
    """Number of partitions of every topic of the pipeline."""
    builder: RequestBuilder
    authorizer: Authorizer
    policies: CompiledPolicies
    batch_models: frozenset[str]
    """Names of the models of the batch lane."""
    accepts_anonymous: bool
    """True if plain JSON may come in on the gateway's own request topics."""
    signatures: EventSignatures | None
    """Verifies the ingress's events; None if no API keys are configured, and every event is accepted."""
    config_hash: str
