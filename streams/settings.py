"""What can be configured, and what of it can't be. ``streams.configuration`` reads it from where it stands."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from connectors.kafka.connection import Cluster
from connectors.kafka.security import Security
from connectors.providers import parse_settings
from connectors.providers.provider import ProviderSettings
from schemas.events import Lane, OnOversize, Operation, RoutePolicy
from schemas.plain import PlainError
from schemas.topics import MAX_QUESTION_BYTES, Kept, Topics
from streams import deny

OPEN_TENANT = "default"
"""Who everybody is while no keys are configured."""

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
TARGET = r"^[^/]+/.+$"
HASH = r"^sha256:[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME)]
"""Of a provider, tenant, key or policy: lower case, so that it can stand in a topic name."""


class ConfigurationError(PlainError):
    """The configuration can't be used. The message is one sentence per fault and says where."""


class Section(BaseModel):
    """Any part of the file: unknown names in it are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(Section):
    """The log."""

    bootstrap_servers: str = ""
    """Empty: `sluice up` starts Apache Kafka itself."""
    security: Security = Security()
    """Encryption and login; the embedded broker has neither."""
    port: int = Field(default=9092, ge=1, le=65535)
    """Of the embedded broker."""
    topic_prefix: str = Field(default="llm.", pattern=r"^[a-z0-9.-]*$")
    partitions: int = Field(default=4, ge=1, le=1024)
    """Of every pipeline topic: the ceiling of workers per stage."""
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=0, ge=0)
    """How many brokers must have a record before it counts. 0: two of three copies or more, else one."""
    retention_hours: dict[Kept, Annotated[int, Field(ge=1)]] = {}
    """How long Kafka keeps what, where it shall not be as in ``schemas.topics``."""
    instance_id: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,249}$")
    """Kafka's group.instance.id of every worker in this process: one name per process, the same after a restart.

    Empty: no static membership; a worker that stops leaves its group at once.
    """

    @model_validator(mode="after")
    def _can_be_in_sync(self) -> Kafka:
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas is {self.min_insync_replicas}, and there are only as many copies as"
                f" replication_factor says: {self.replication_factor}"
            )
        return self

    @model_validator(mode="after")
    def _secure_elsewhere(self) -> Kafka:
        if self.security.security_protocol != "PLAINTEXT" and not self.bootstrap_servers:
            raise ValueError(
                f"security is {self.security.security_protocol}, and the Kafka that `sluice up` starts has none:"
                " name yours in bootstrap_servers"
            )
        return self

    @property
    def cluster(self) -> Cluster:
        """What a client needs to get in."""
        return Cluster(self.bootstrap_servers, self.security)


class Http(Section):
    """The ingress."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    body_limit_bytes: int = Field(default=2 * 1024 * 1024, ge=1, le=MAX_QUESTION_BYTES)
    max_waiting: int = Field(default=2000, ge=1)
    """Callers that may wait for replies at once; one more is refused with 503."""
    instance: int = Field(default=0, ge=0)
    """Which of `instances` this ingress is: each waits on its own share of the reply partitions."""
    instances: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Http:
        if self.instance >= self.instances:
            raise ValueError(
                f"instance counts from 0: with {self.instances} instances it is at most {self.instances - 1}"
            )
        return self

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class ClickHouse(Section):
    """Where every event lands."""

    url: str = ""
    """Empty: chDB, the same engine in process, under the state directory."""
    port: int = Field(default=8123, ge=1, le=65535)
    """Of the read-only endpoint that serves chDB to others."""
    database: str = Field(default="sluice", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @property
    def place(self) -> str:
        """Where it is, for people: without who we are there."""
        scheme, _, rest = (self.url or f"http://127.0.0.1:{self.port}").partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


class WeightedTarget(Section):
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


class Model(Section):
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


class Key(Section):
    """What a key may do. The key itself is nowhere: only its hash is."""

    id: Name
    tenant: Name
    hash: str = Field(pattern=HASH)
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")


class DenyRule(Section):
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
        deny.pattern(self.pattern)
        return self


Entity = Literal["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "API_KEY"]
"""What is looked for, by Presidio's names where it has one."""


class Policy(Section):
    """What the filter does with a tenant's requests."""

    deny: tuple[DenyRule, ...] = ()
    pii: dict[Entity, Literal["block", "mask", "allow"]] = {}
    """What is not named is allowed."""
    phone_region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """ISO 3166 code of the country whose phone numbers are known without their country code."""


class Tenant(Section):
    """Somebody who owns requests, keys, and a request topic."""

    policy: Name = "default"
    models: tuple[str, ...] = ("*",)
    """Shell patterns of model names, on top of what a key allows."""
    operations: tuple[Operation, ...] = ("chat", "embeddings")
    lane: Lane = "interactive"
    """Batch: its requests come after all that somebody waits for, however they are sent."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Of its callers over HTTP, how many may wait at once at one ingress; one more is refused with 429."""


class Price(Section):
    """US dollars per million tokens, for models that genai-prices does not know."""

    input_mtok: float = Field(ge=0)
    output_mtok: float = Field(default=0.0, ge=0)
    cache_read_mtok: float | None = Field(default=None, ge=0)


class Overload(Section):
    """Who waits for whom when there is too much, and at what point nobody may begin to wait."""

    batch_share: float = Field(default=0.5, gt=0, le=1)
    """The part that the batch lane may have of a call worker's calls, and of each provider's."""
    provider_share: float = Field(default=0.8, gt=0, le=1)
    """The part of a call worker's calls that one provider may hold, if it stalls, while the others hold none."""
    max_wait_s: float | None = Field(default=None, gt=0)
    """The ingress refuses a request that would wait longer. Not set: than its caller does."""
    max_batch_backlog: int = Field(default=100_000, ge=1)
    """Requests of the batch lane that may wait in Kafka; beyond it the ingress refuses more."""


def _simulated() -> dict[str, Any]:
    return {"sim": {"kind": "simulated"}}


class Settings(Section):
    """All of it."""

    state: Path = Path(".sluice")
    kafka: Kafka = Kafka()
    http: Http = Http()
    clickhouse: ClickHouse = ClickHouse()
    grafana_url: str = ""
    providers: dict[Name, Annotated[SerializeAsAny[ProviderSettings], BeforeValidator(parse_settings)]] = Field(
        default_factory=_simulated, validate_default=True
    )
    models: dict[str, Model] = {}
    tenants: dict[Name, Tenant] = {}
    keys: tuple[Key, ...] = ()
    policies: dict[Name, Policy] = {}
    prices: dict[str, Price] = {}
    """By provider/model."""
    deadline_s: float = Field(default=120.0, gt=0)
    """How long a caller waits if it does not say."""
    batch_deadline_s: float = Field(default=3600.0, gt=0, le=3600)
    """The same for a request that says that it is of the batch lane."""
    calls_in_flight: int = Field(default=2000, ge=1)
    """Per call worker."""
    overload: Overload = Overload()

    @model_validator(mode="before")
    @classmethod
    def _something_to_try(cls, content: object) -> object:
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

    @property
    def known_tenants(self) -> frozenset[str]:
        """Who there is; the open tenant always."""
        return frozenset(self.tenants) | {OPEN_TENANT}

    def tenant(self, name: str) -> Tenant:
        """A tenant's rules; the open tenant has the defaults unless it is configured."""
        return self.tenants.get(name, Tenant())

    def patience_s(self, lane: Lane) -> float:
        """How long a caller waits if it does not say, in seconds."""
        return self.batch_deadline_s if lane == "batch" else self.deadline_s

    def policy(self, tenant: str) -> Policy:
        """The policy of a tenant; one that allows everything unless configured."""
        return self.policies.get(self.tenant(tenant).policy, Policy())

    @functools.cached_property
    def topics(self) -> Topics:
        """The map of the log under this prefix."""
        kafka, tenants = self.kafka, tuple(sorted(self.tenants))
        return Topics(kafka.topic_prefix, kafka.partitions, tenants, kafka.retention_hours)

    @functools.cached_property
    def public(self) -> str:
        """What decides about requests, as JSON, without secrets and without where things run."""
        fields = ("providers", "models", "tenants", "keys", "policies", "prices", "deadline_s", "batch_deadline_s")
        return json.dumps(self.model_dump(mode="json", include=set(fields)), sort_keys=True)

    @functools.cached_property
    def hash(self) -> str:
        """The name of this configuration in every event that it decided."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:12]
