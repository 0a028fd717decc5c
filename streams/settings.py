"""The configuration: one file, ``sluice.yaml``, and a few environment variables for where things run.

Errors name the place in the file. ``${NAME}`` is replaced from the environment, so that no secret need stand in it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from connectors.providers import parse_settings
from connectors.providers.provider import ProviderSettings
from schemas.events import Operation
from schemas.topics import MAX_MESSAGE_BYTES, Topics
from streams import deny

OPEN_TENANT = "default"
"""Who everybody is while no keys are configured."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Of a provider, tenant, key or policy: lower case, so that it can stand in a topic name."""


class ConfigurationError(Exception):
    """The configuration can't be used. The message is one sentence per fault and says where."""


class Section(BaseModel):
    """Any part of the file: unknown names in it are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(Section):
    """The log."""

    bootstrap_servers: str = ""
    """Empty: `sluice up` starts Apache Kafka itself."""
    port: int = Field(default=9092, ge=1, le=65535)
    """Of the embedded broker."""
    topic_prefix: str = Field(default="llm.", pattern=r"^[a-z0-9.-]*$")
    partitions: int = Field(default=4, ge=1, le=1024)
    """Of every pipeline topic: the ceiling of workers per stage."""
    replication_factor: int = Field(default=1, ge=1)


class Http(Section):
    """The ingress."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    body_limit_bytes: int = Field(default=2 * 1024 * 1024, ge=1, le=MAX_MESSAGE_BYTES // 2)
    max_waiting: int = Field(default=2000, ge=1)
    """Callers that may wait for replies at once; one more is refused with 503."""
    instance: int = Field(default=0, ge=0)
    """Which of `instances` this ingress is: each waits on its own share of the reply partitions."""
    instances: int = Field(default=1, ge=1)


class ClickHouse(Section):
    """Where every event lands."""

    url: str = ""
    """Empty: chDB, the same engine in process, under the state directory."""
    port: int = Field(default=8123, ge=1, le=65535)
    """Of the read-only endpoint that serves chDB to others."""
    database: str = Field(default="sluice", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class WeightedTarget(Section):
    """A target with its share of the traffic."""

    target: str = Field(pattern=r"^[^/]+/.+$")
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
    policy: Literal["ordered", "weighted"] = "ordered"
    """Ordered: the first is tried first. Weighted: drawn by weight, the others follow as fallback."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Of one attempt."""
    max_attempts: int = Field(default=3, ge=1, le=10)
    """Per target, the first included."""
    on_in_doubt: Literal["retry", "fail"] = "retry"


class Key(Section):
    """What a key may do. The key itself is nowhere: only its hash is."""

    id: Name
    tenant: Name
    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
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


class Price(Section):
    """US dollars per million tokens, for models that genai-prices does not know."""

    input_mtok: float = Field(ge=0)
    output_mtok: float = Field(default=0.0, ge=0)
    cache_read_mtok: float | None = Field(default=None, ge=0)


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
    calls_in_flight: int = Field(default=2000, ge=1)
    """Per call worker."""

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

    @property
    def known_tenants(self) -> frozenset[str]:
        """Who there is; the open tenant always."""
        return frozenset(self.tenants) | {OPEN_TENANT}

    def tenant(self, name: str) -> Tenant:
        """A tenant's rules; the open tenant has the defaults unless it is configured."""
        return self.tenants.get(name, Tenant())

    def policy(self, tenant: str) -> Policy:
        """The policy of a tenant; one that allows everything unless configured."""
        return self.policies.get(self.tenant(tenant).policy, Policy())

    @functools.cached_property
    def topics(self) -> Topics:
        """The map of the log under this prefix."""
        return Topics(self.kafka.topic_prefix, self.kafka.partitions, tuple(sorted(self.tenants)))

    @functools.cached_property
    def public(self) -> str:
        """What decides about requests, as JSON, without secrets and without where things run."""
        fields = ("providers", "models", "tenants", "keys", "policies", "prices", "deadline_s")
        return json.dumps(self.model_dump(mode="json", include=set(fields)), sort_keys=True)

    @functools.cached_property
    def hash(self) -> str:
        """The name of this configuration in every event that it decided."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:12]


_OVERRIDES = {
    "SLUICE_KAFKA": ("kafka", "bootstrap_servers"),
    "SLUICE_KAFKA_PORT": ("kafka", "port"),
    "SLUICE_CLICKHOUSE_URL": ("clickhouse", "url"),
    "SLUICE_CLICKHOUSE_PORT": ("clickhouse", "port"),
    "SLUICE_HTTP_HOST": ("http", "host"),
    "SLUICE_HTTP_PORT": ("http", "port"),
    "SLUICE_HTTP_INSTANCE": ("http", "instance"),
    "SLUICE_HTTP_INSTANCES": ("http", "instances"),
    "SLUICE_GRAFANA_URL": ("grafana_url",),
    "SLUICE_STATE": ("state",),
}
"""Where things run is said by the environment, and wins over the file."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expand(value: object, environ: Mapping[str, str], path: str) -> object:
    if isinstance(value, dict):
        return {key: _expand(item, environ, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ, f"{path}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ConfigurationError(f"{path.lstrip('.')}: environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(variable, value)


def _sentence(error: ValidationError, source: str) -> str:
    """Every fault on one line, with its place; never a value, which may be a secret."""
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        place = ".".join(str(step) for step in fault["loc"]) or "the file"
        faults.append(f"{source}: {place}: {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(faults)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the file that is named, else by SLUICE_CONFIG, else ./sluice.yaml, else the defaults.

    Raises:
        ConfigurationError: the file is missing though named, is not YAML, or says something that can't be.

    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["SLUICE_CONFIG"]) if environ.get("SLUICE_CONFIG") else None)
    source = named or Path("sluice.yaml")
    try:
        loaded = yaml.safe_load(source.read_text("utf-8")) if named or source.exists() else {}
    except FileNotFoundError:
        raise ConfigurationError(f"{source}: no such file (SLUICE_CONFIG or --config names it)") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{source}: can't be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict | None):
        raise ConfigurationError(f"{source}: must be a mapping, like `providers: …`")
    content = _expand(loaded or {}, environ, "")
    assert isinstance(content, dict)
    for variable, steps in _OVERRIDES.items():
        if environ.get(variable):
            inner = content
            for step in steps[:-1]:
                inner = inner.setdefault(step, {})
            inner[steps[-1]] = environ[variable]
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error, str(source) if source.exists() else "settings")) from None
