"""Settings of the route stage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from schemas.kafka.topics import Topics
from streams.config.settings import Model
from streams.pipeline.authorization import Authorizer


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """The part of the configuration that the route stage uses; ``streams.composition.route_config`` builds it."""

    topics: Topics
    models: Mapping[str, Model]
    """By alias."""
    providers: Collection[str]
    """Configured names."""
    authorizer: Authorizer
    """Knows the models that a caller may use, which a refusal lists."""
    config_hash: str
    """Hash of the whole configuration, recorded in the events."""
