"""The parts of the configuration that say where things are, and how much they may take."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.kafka.connection import SecuredKafka
from connectors.kafka.security.settings import Security
from schemas.kafka.topics import MAX_REQUEST_BYTES, RetentionKey


class ConfigModel(BaseModel):
    """Any part of the file: unknown names in it are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(ConfigModel):
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
    retention_hours: dict[RetentionKey, Annotated[int, Field(ge=1)]] = {}
    """How long Kafka keeps what, where it shall not be as in ``schemas.kafka.topics``."""
    instance_id: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,240}$")
    """What Kafka's group.instance.id of every worker in this process begins with: one name per process, the same after
    a restart. See ``streams.runtime.static_membership``.

    Empty: no static membership; a worker that stops leaves its group at once.
    """

    @model_validator(mode="after")
    def _can_be_in_sync(self) -> KafkaSettings:
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas is {self.min_insync_replicas}, and there are only as many copies as"
                f" replication_factor says: {self.replication_factor}"
            )
        return self

    @model_validator(mode="after")
    def _secure_elsewhere(self) -> KafkaSettings:
        if self.security.security_protocol != "PLAINTEXT" and not self.bootstrap_servers:
            raise ValueError(
                f"security is {self.security.security_protocol}, and the Kafka that `sluice up` starts has none:"
                " name yours in bootstrap_servers"
            )
        return self

    @property
    def address(self) -> SecuredKafka:
        """What a client needs to get in."""
        return SecuredKafka(self.bootstrap_servers, self.security)


class HttpSettings(ConfigModel):
    """The ingress."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    body_limit_bytes: int = Field(default=2 * 1024 * 1024, ge=1, le=MAX_REQUEST_BYTES)
    max_waiting: int = Field(default=2000, ge=1)
    """Callers that may wait for replies at once; one more is refused with 503."""
    instance: int = Field(default=0, ge=0)
    """Which of `instances` this ingress is: each waits on its own share of the reply partitions."""
    instances: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> HttpSettings:
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


class ClickHouseSettings(ConfigModel):
    """Where every event lands."""

    url: str = ""
    """Empty: chDB, the same engine in process, under the state directory."""
    port: int = Field(default=8123, ge=1, le=65535)
    """Of the read-only endpoint that serves chDB to others."""
    database: str = Field(default="sluice", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @field_validator("url")
    @classmethod
    def _leads_somewhere(cls, url: str) -> str:
        if url and not _is_of_a_server(url):
            raise ValueError(
                "must be http(s)://user:password@host:port, without a path; in a password / is written %2F, and # %23"
            )
        return url

    @property
    def location(self) -> str:
        """Where it is, for people: without who we are there."""
        scheme, _, rest = (self.url or f"http://127.0.0.1:{self.port}").partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


def _is_of_a_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # it quotes what it can't read, which may be a password
        return False
    return bool(named) and parts.path in {"", "/"} and not parts.query and not parts.fragment


class OverloadSettings(ConfigModel):
    """Who waits for whom when there is too much, and at what point nobody may begin to wait."""

    batch_share: float = Field(default=0.5, gt=0, le=1)
    """The part that the batch lane may have of a call worker's calls, and of each provider's."""
    provider_share: float = Field(default=0.8, gt=0, le=1)
    """The part of a call worker's calls that one provider may hold, if it stalls, while the others hold none."""
    max_wait_s: float | None = Field(default=None, gt=0)
    """The ingress refuses a request that would wait longer. Not set: than its caller does."""
    max_batch_backlog: int = Field(default=100_000, ge=1)
    """Requests of the batch lane that may wait in Kafka; beyond it the ingress refuses more."""
