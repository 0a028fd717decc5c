"""Composition: builds each stage from the configuration, and the part of the configuration that each one uses.

Only here the stages, the connectors and the whole configuration are known together.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from schemas.kafka.stages import RUNNABLE
from streams.call.idempotency.worker_id import current_worker_id
from streams.config.settings import ANONYMOUS_TENANT, ConfigurationError, Settings
from streams.pipeline.authorization import Authorizer
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_builder import RequestBuilder
from streams.pipeline.stage import Stage
from streams.runtime.worker import WorkerConfig

if TYPE_CHECKING:
    from streams.call.config import CallConfig
    from streams.filter.config import FilterConfig
    from streams.ingress.config import IngressConfig
    from streams.route.config import RouteConfig


def make_stage(name: str, settings: Settings, signing_keys: tuple[bytes, ...] = ()) -> Stage:
    """Build a stage from its parts. Only the modules of this stage are imported, to save memory in small processes.

    The filter needs the signing keys if API keys are configured; without them it refuses every event of the ingress.

    Raises:
        ConfigurationError: there is no such stage.

    """
    match name:
        case "filter":
            from streams.filter.stage import FilterStage

            return FilterStage(filter_config(settings, signing_keys))
        case "route":
            from streams.route.stage import RouteStage

            return RouteStage(route_config(settings))
        case "call":
            from connectors.kafka.clients.follower import TopicFollower
            from connectors.kafka.clients.history import TopicHistoryReader
            from streams.call.idempotency.answer_lookup import AnswerLookup
            from streams.call.stage import CallStage

            bootstrap, attempts = settings.kafka.address, settings.topics.attempts.name
            follow = functools.partial(TopicFollower, bootstrap)
            lookup = AnswerLookup(functools.partial(TopicHistoryReader, bootstrap, attempts))
            return CallStage(call_config(settings), current_worker_id(), follow=follow, answer_lookup=lookup)
        case "reply":
            from streams.reply.stage import ReplyStage

            return ReplyStage(settings.topics.outcomes.dead_letters)
        case "audit":
            from streams.audit.factory import open_audit_stage
            from streams.provisioning.clickhouse import chdb_path, open_readers, open_writer

            path, port = chdb_path(settings), settings.clickhouse.port
            return open_audit_stage(
                open_writer(settings), settings.topics, chdb_path=path, port=port, readers=open_readers(settings)
            )
        case _:
            raise ConfigurationError(f"there is no stage {name!r}; there are: {', '.join(RUNNABLE)}")


def filter_config(settings: Settings, signing_keys: tuple[bytes, ...] = ()) -> FilterConfig:
    """Return the parts of the configuration that the filter stage uses. With API keys, events must be signed."""
    from streams.filter.config import FilterConfig
    from streams.policy.rules import CompiledPolicies

    return FilterConfig(
        topics=settings.topics,
        partitions=settings.kafka.partitions,
        builder=request_builder(settings),
        authorizer=Authorizer(settings.tenants, settings.keys, settings.models),
        policies=CompiledPolicies(settings.policies, settings.tenants),
        batch_models=frozenset(name for name, model in settings.models.items() if model.lane == "batch"),
        accepts_anonymous=not settings.keys or ANONYMOUS_TENANT in settings.tenants,
        signatures=EventSignatures(signing_keys) if settings.keys else None,
        config_hash=settings.hash,
    )


def route_config(settings: Settings) -> RouteConfig:
    """Return the parts of the configuration that the route stage uses."""
    from streams.route.config import RouteConfig

    return RouteConfig(
        topics=settings.topics,
        models=settings.models,
        providers=frozenset(settings.providers),
        authorizer=Authorizer(settings.tenants, settings.keys, settings.models),
        config_hash=settings.hash,
    )


def ingress_config(settings: Settings, signing_keys: tuple[bytes, ...] = ()) -> IngressConfig:
    """Return the parts of the configuration that the ingress uses."""
    from streams.ingress.config import IngressConfig
    from streams.policy.rules import CompiledPolicies

    limits = {name: tenant.max_in_flight for name, tenant in settings.tenants.items()}
    return IngressConfig(
        http=settings.http,
        overload=settings.overload,
        kafka=settings.kafka,
        clickhouse=settings.clickhouse,
        topics=settings.topics,
        keys=settings.keys,
        max_in_flight={name: limit for name, limit in limits.items() if limit is not None},
        builder=request_builder(settings),
        authorizer=Authorizer(settings.tenants, settings.keys, settings.models),
        policies=CompiledPolicies(settings.policies, settings.tenants),
        signatures=EventSignatures(signing_keys) if signing_keys else None,
        config_hash=settings.hash,
    )


def call_config(settings: Settings) -> CallConfig:
    """Return the parts of the configuration that the call stage uses."""
    from streams.call.config import CallConfig

    return CallConfig(
        topics=settings.topics,
        providers=settings.providers,
        prices=settings.prices,
        calls_in_flight=settings.calls_in_flight,
        overload=settings.overload,
    )


def request_builder(settings: Settings) -> RequestBuilder:
    """Return the builder of requests, the same for HTTP and Kafka."""
    return RequestBuilder(settings.tenants, deadline_s=settings.deadline_s, batch_deadline_s=settings.batch_deadline_s)


def worker_config(settings: Settings) -> WorkerConfig:
    """Return the part of the settings that a worker uses."""
    return WorkerConfig(
        in_flight=settings.calls_in_flight,
        in_flight_bytes=settings.calls_in_flight_bytes,
        batch_share=settings.overload.batch_share,
        instance_id=settings.kafka.instance_id,
    )
