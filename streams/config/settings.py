"""Configuration model: every setting, its default and its checks. ``streams.config.loader`` reads the file."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from connectors.providers import parse_settings
from connectors.providers.settings import ProviderSettings
from schemas.errors import UserError
from schemas.events.vocabulary import Lane, OnOversize, Operation, RoutePolicy
from schemas.kafka.topics import Topics
from streams.config.deployment import ClickHouseSettings, ConfigModel, HttpSettings, KafkaSettings, OverloadSettings
from streams.config.regex import compile_pattern

ANONYMOUS_TENANT = "default"
"""Tenant of every request while no keys are configured."""

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
TARGET = r"^[^/]+/.+$"
HASH = r"^sha256:[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME)]
"""Name of a provider, tenant, key or policy: lower case, so that it is valid in a topic's name."""


class ConfigurationError(UserError):
    """The configuration is invalid. The message is one sentence per fault, each with its place."""


class WeightedTarget(ConfigModel):
    """Target of a model, with its weight."""

    target: str = Field(pattern=TARGET)
    """provider/model, split at the first slash: model names may contain more."""
    weight: float = Field(default=1.0, gt=0)

    @property
    def provider(self) -> str:
        """The configured provider's name."""
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        """The provider's own name for the model."""
        return self.target.partition("/")[2]


def _as_target(value: object) -> object:
    return {"target": value} if isinstance(value, str) else value


class Model(ConfigModel):
    """Model name that callers use, and its targets."""

    targets: tuple[Annotated[WeightedTarget, BeforeValidator(_as_target)], ...] = Field(min_length=1)
    policy: RoutePolicy = "ordered"
    """Ordered: targets are tried in order. Weighted: the order is drawn by weight.

    Latency: the target that is expected to answer first, by the measurements of each call worker, is tried first.
    """
    timeout_s: float = Field(default=60.0, gt=0)
    """Timeout of one attempt."""
    max_attempts: int = Field(default=3, ge=1, le=10)
    """Attempts per target, the first included."""
    on_in_doubt: Literal["retry", "fail"] = "retry"
    on_oversize: OnOversize = "split"
    lane: Lane = "interactive"
    """Batch: its requests come after all interactive ones."""


class Key(ConfigModel):
    """API key and its permissions. Only the hash of the key is configured."""

    id: Name
    tenant: Name
    hash: str = Field(pattern=HASH)
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")
    roles: tuple[Literal["analyst", "operator"], ...] = ()
    """Reading rights on ClickHouse's port: an analyst reads the rows of its tenant, an operator all rows."""


class DenyRule(ConfigModel):
    """Rule for text that must not be sent to a provider."""

    name: Name
    keywords: tuple[Annotated[str, Field(pattern=r"\S")], ...] = ()
    """Whole words; case is ignored."""
    pattern: str = ""
    """Regular expression in RE2 syntax."""

    @model_validator(mode="after")
    def _check_pattern(self) -> DenyRule:
        if not self.keywords and not self.pattern:
            raise ValueError("a deny rule needs keywords or a pattern")
        compile_pattern(self.pattern)
        return self


Entity = Literal["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "API_KEY"]
"""Kinds of personal data, by Presidio's names where it has one."""


class Policy(ConfigModel):
    """Rules of the filter for a tenant's requests."""

    deny: tuple[DenyRule, ...] = ()
    pii: dict[Entity, Literal["block", "mask", "allow"]] = Field(default_factory=dict)
    """Action by entity; an entity that is not listed is allowed."""
    phone_region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """ISO 3166 code of the country whose phone numbers are found without a country code."""


class Tenant(ConfigModel):
    """Owner of requests, keys, and a request topic."""

    policy: Name = "default"
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names, in addition to those of a key: both must allow a name."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")
    lane: Lane = "interactive"
    """Batch: its requests come after all interactive ones."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """HTTP requests in progress at one ingress; one more is rejected with 429."""
    reply_topics: tuple[str, ...] = ()
    """Reply topics beside ``replies.<tenant>`` and those below it: exact names, or patterns that end in ``.*``."""


_NO_POLICY, _DEFAULT_TENANT = Policy(), Tenant()


class Price(ConfigModel):
    """US dollars per million tokens, for models that genai-prices does not know."""

    input_mtok: float = Field(ge=0)
    output_mtok: float = Field(default=0.0, ge=0)
    cache_read_mtok: float | None = Field(default=None, ge=0)


def _simulated_defaults() -> dict[str, Any]:
    return {"sim": {"kind": "simulated"}}


class Settings(ConfigModel):
    """The whole configuration."""

    state: Path = Path(".sluice")
    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    grafana_url: str = ""
    providers: dict[Name, Annotated[SerializeAsAny[ProviderSettings], BeforeValidator(parse_settings)]] = Field(
        default_factory=_simulated_defaults, validate_default=True
    )
    models: dict[str, Model] = Field(default_factory=dict)
    tenants: dict[Name, Tenant] = Field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    policies: dict[Name, Policy] = Field(default_factory=dict)
    prices: dict[str, Price] = Field(default_factory=dict)
    """Prices by provider/model."""
    deadline_s: float = Field(default=120.0, gt=0)
    """Deadline of a request whose caller sets none, in seconds."""
    batch_deadline_s: float = Field(default=3600.0, gt=0, le=3600)
    """The same for a request sent to the batch lane."""
    calls_in_flight: int = Field(default=2000, ge=1)
    """Records that a call worker processes at once."""
    calls_in_flight_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    """Size of these records together; a larger record is processed alone."""
    overload: OverloadSettings = OverloadSettings()

    @model_validator(mode="before")
    @classmethod
    def _default_to_simulated(cls, content: object) -> object:
        """Add the simulated provider and the model `demo` if no providers are configured."""
        if isinstance(content, dict) and "providers" not in content:
            return {"models": {"demo": {"targets": ["sim/echo"]}}} | content
        return content

    @model_validator(mode="after")
    def _check_names(self) -> Settings:
        for alias, model in self.models.items():
            for target in model.targets:
                if target.provider not in self.providers:
                    known = ", ".join(sorted(self.providers))
                    raise ValueError(
                        f"models.{alias}: provider {target.provider!r} is not configured (configured: {known})"
                    )
        for name, tenant in self.tenants.items():
            if tenant.policy != "default" and tenant.policy not in self.policies:
                raise ValueError(f"tenants.{name}: policy {tenant.policy!r} is not configured")
        for key in self.keys:
            if key.tenant not in self.known_tenants:
                raise ValueError(f"keys: tenant {key.tenant!r} of key {key.id!r} is not configured under tenants")
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("keys: two keys have the same id")
        return self

    @model_validator(mode="after")
    def _check_tenant_topics(self) -> Settings:
        for name, topic in self.topics.tenant_requests.items():
            if self.topics.is_batch(topic.name):
                raise ValueError(
                    f"tenants: the name {name} is not allowed: {topic.name} is the topic of the batch lane"
                )
            if name == "ingress":
                raise ValueError(
                    f"tenants: the name {name} is not allowed:"
                    f" {self.topics.ingress_replies.name} is the topic of the ingress"
                )
            for pattern in self.tenants[name].reply_topics:
                if not self.topics.is_reply(pattern.removesuffix(".*")):
                    raise ValueError(
                        f"tenants.{name}.reply_topics: must be names of reply topics, or patterns such as"
                        f" {self.topics.prefix}replies.{name}-2.*"
                    )
        return self

    @functools.cached_property
    def known_tenants(self) -> frozenset[str]:
        """Names of all tenants; the anonymous tenant is always one."""
        return frozenset(self.tenants) | {ANONYMOUS_TENANT}

    def tenant(self, name: str) -> Tenant:
        """Return a tenant's settings: the defaults unless it is configured."""
        return self.tenants.get(name, _DEFAULT_TENANT)

    def default_timeout_s(self, lane: Lane) -> float:
        """Return the deadline of a request whose caller sets none, in seconds."""
        return self.batch_deadline_s if lane == "batch" else self.deadline_s

    def policy(self, tenant: str) -> Policy:
        """Return the policy of a tenant: one that allows everything unless it is configured."""
        return self.policies.get(self.tenant(tenant).policy, _NO_POLICY)

    @functools.cached_property
    def topics(self) -> Topics:
        """Topics with this prefix."""
        kafka, tenants = self.kafka, tuple(sorted(self.tenants))
        return Topics(
            kafka.topic_prefix,
            kafka.partitions,
            tenants,
            kafka.retention_hours,
            reply_topics={name: tenant.reply_topics for name, tenant in self.tenants.items()},
            open_tenant="" if self.keys else ANONYMOUS_TENANT,
        )

    @functools.cached_property
    def public_json(self) -> str:
        """The settings that decide about requests, as JSON, without secrets and addresses."""
        fields = ("providers", "models", "tenants", "keys", "policies", "prices", "deadline_s", "batch_deadline_s")
        return json.dumps(self.model_dump(mode="json", include=set(fields)), sort_keys=True)

    @functools.cached_property
    def hash(self) -> str:
        """Hash of the configuration, which is in every event that it decided."""
        return hashlib.sha256(self.public_json.encode()).hexdigest()[:12]
