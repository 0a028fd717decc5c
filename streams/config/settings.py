"""What can be configured, and what of it can't be. ``streams.config.loader`` reads it from where it stands."""

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
"""Who everybody is while no keys are configured."""

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
TARGET = r"^[^/]+/.+$"
HASH = r"^sha256:[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME)]
"""Of a provider, tenant, key or policy: lower case, so that it can stand in a topic name."""


class ConfigurationError(UserError):
    """The configuration can't be used. The message is one sentence per fault and says where."""


class WeightedTarget(ConfigModel):
    """A target with its share of the traffic."""

    target: str = Field(pattern=TARGET)
    """provider/model, split at the first slash: model names hold more of them."""
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
    """A name that callers use, and the targets behind it, tried in order."""

    targets: tuple[Annotated[WeightedTarget, BeforeValidator(_as_target)], ...] = Field(min_length=1)
    policy: RoutePolicy = "ordered"
    """Ordered: the first is tried first. Weighted: drawn by weight, the others follow as fallback.

    Latency: the one that would answer soonest is tried first, by what each call worker has seen.
    """
    timeout_s: float = Field(default=60.0, gt=0)
    """Of one attempt."""
    max_attempts: int = Field(default=3, ge=1, le=10)
    """Per target, the first included."""
    on_in_doubt: Literal["retry", "fail"] = "retry"
    on_oversize: OnOversize = "split"
    lane: Lane = "interactive"
    """Batch: its requests come after all that somebody waits for, however they are sent."""


class Key(ConfigModel):
    """What a key may do. The key itself is nowhere: only its hash is."""

    id: Name
    tenant: Name
    hash: str = Field(pattern=HASH)
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")


class DenyRule(ConfigModel):
    """A text that may not go to a provider."""

    name: Name
    keywords: tuple[Annotated[str, Field(pattern=r"\S")], ...] = ()
    """Whole words, in any case."""
    pattern: str = ""
    """A regular expression in RE2's syntax."""

    @model_validator(mode="after")
    def _something_to_match(self) -> DenyRule:
        if not self.keywords and not self.pattern:
            raise ValueError("a deny rule needs keywords or a pattern")
        compile_pattern(self.pattern)
        return self


Entity = Literal["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "API_KEY"]
"""What is looked for, by Presidio's names where it has one."""


class Policy(ConfigModel):
    """What the filter does with a tenant's requests."""

    deny: tuple[DenyRule, ...] = ()
    pii: dict[Entity, Literal["block", "mask", "allow"]] = Field(default_factory=dict)
    """What is not named is allowed."""
    phone_region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """ISO 3166 code of the country whose phone numbers are known without their country code."""


class Tenant(ConfigModel):
    """Somebody who owns requests, keys, and a request topic."""

    policy: Name = "default"
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names, on top of what a key allows."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")
    lane: Lane = "interactive"
    """Batch: its requests come after all that somebody waits for, however they are sent."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Of its requests over HTTP, how many may be under way at once at one ingress; one more is refused with 429."""


_NO_POLICY, _DEFAULT_TENANT = Policy(), Tenant()


class Price(ConfigModel):
    """US dollars per million tokens, for models that genai-prices does not know."""

    input_mtok: float = Field(ge=0)
    output_mtok: float = Field(default=0.0, ge=0)
    cache_read_mtok: float | None = Field(default=None, ge=0)


def _simulated_defaults() -> dict[str, Any]:
    return {"sim": {"kind": "simulated"}}


class Settings(ConfigModel):
    """All of it."""

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
    """By provider/model."""
    deadline_s: float = Field(default=120.0, gt=0)
    """How long a caller waits if it does not say."""
    batch_deadline_s: float = Field(default=3600.0, gt=0, le=3600)
    """The same for a request that says that it is of the batch lane."""
    calls_in_flight: int = Field(default=2000, ge=1)
    """Per call worker."""
    calls_in_flight_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    """The same, of their records together; a larger one is called alone."""
    overload: OverloadSettings = OverloadSettings()

    @model_validator(mode="before")
    @classmethod
    def _default_to_simulated(cls, content: object) -> object:
        """As long as nobody names a provider there is the simulated one, and an alias for it."""
        if isinstance(content, dict) and "providers" not in content:
            return {"models": {"demo": {"targets": ["sim/echo"]}}} | content
        return content

    @model_validator(mode="after")
    def _names_exist(self) -> Settings:
        for alias, model in self.models.items():
            for target in model.targets:
                if target.provider not in self.providers:
                    known = ", ".join(sorted(self.providers))
                    raise ValueError(
                        f"models.{alias}: provider {target.provider!r} is not configured (there is: {known})"
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
    def _topics_have_one_owner(self) -> Settings:
        for name, topic in self.topics.tenant_requests.items():
            if self.topics.is_batch(topic.name):
                raise ValueError(f"tenants: {name} can't be a tenant's name: {topic.name} is the batch lane's")
        return self

    @functools.cached_property
    def known_tenants(self) -> frozenset[str]:
        """Who there is; the open tenant always."""
        return frozenset(self.tenants) | {ANONYMOUS_TENANT}

    def tenant(self, name: str) -> Tenant:
        """A tenant's rules; the open tenant has the defaults unless it is configured."""
        return self.tenants.get(name, _DEFAULT_TENANT)

    def default_timeout_s(self, lane: Lane) -> float:
        """How long a caller waits if it does not say, in seconds."""
        return self.batch_deadline_s if lane == "batch" else self.deadline_s

    def policy(self, tenant: str) -> Policy:
        """The policy of a tenant; one that allows everything unless configured."""
        return self.policies.get(self.tenant(tenant).policy, _NO_POLICY)

    @functools.cached_property
    def topics(self) -> Topics:
        """The map of the log under this prefix."""
        kafka, tenants = self.kafka, tuple(sorted(self.tenants))
        return Topics(kafka.topic_prefix, kafka.partitions, tenants, kafka.retention_hours)

    @functools.cached_property
    def public_json(self) -> str:
        """What decides about requests, as JSON, without secrets and without where things run."""
        fields = ("providers", "models", "tenants", "keys", "policies", "prices", "deadline_s", "batch_deadline_s")
        return json.dumps(self.model_dump(mode="json", include=set(fields)), sort_keys=True)

    @functools.cached_property
    def hash(self) -> str:
        """The name of this configuration in every event that it decided."""
        return hashlib.sha256(self.public_json.encode()).hexdigest()[:12]
