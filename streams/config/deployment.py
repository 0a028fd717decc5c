"""Deployment settings: Kafka, HTTP, ClickHouse and overload protection."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.kafka.connection import SecuredKafka
from connectors.kafka.security.settings import Security
from schemas.kafka.topics import MAX_REQUEST_BYTES, RetentionKey


class ConfigModel(BaseModel):
    """Section of the configuration file; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(ConfigModel):
    """Settings of Kafka."""

    bootstrap_servers: str = ""
    """Empty: `sluice up` starts Apache Kafka itself."""
    security: Security = Security()
    """Encryption and authentication; the embedded broker has neither."""
    port: int = Field(default=9092, ge=1, le=65535)
    """Port of the embedded broker."""
    topic_prefix: str = Field(default="llm.", pattern=r"^[a-z0-9.-]*$")
    partitions: int = Field(default=4, ge=1, le=1024)
    """Partitions of every pipeline topic: the maximum number of workers per stage."""
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=0, ge=0)
    """Replicas that must have a record before it is acknowledged. 0: 2 with three replicas or more, else 1."""
    retention_hours: dict[RetentionKey, Annotated[int, Field(ge=1)]] = {}
    """Retention in hours, where it differs from the defaults in ``schemas.kafka.topics``."""
    signing_keys: tuple[SecretStr, ...] = ()
    """Secrets with which the ingress signs its events for the filter: the first signs, all verify.

    Empty: a secret in the state directory. See ``streams.config.signing_keys``.
    """
    instance_id: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,240}$")
    """Prefix of Kafka's group.instance.id of the workers in this process: unique per process, the same after a restart.

    See ``streams.runtime.static_membership``. Empty: no static membership; a worker that stops leaves its group at
    once.
    """

    @model_validator(mode="after")
    def _check_replicas(self) -> KafkaSettings:
        if self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas is {self.min_insync_replicas}, which is more than replication_factor,"
                f" {self.replication_factor}"
            )
        return self

    @model_validator(mode="after")
    def _check_security(self) -> KafkaSettings:
        if self.security.security_protocol != "PLAINTEXT" and not self.bootstrap_servers:
            raise ValueError(
                f"security is {self.security.security_protocol}, but the Kafka that `sluice up` starts has none:"
                " set bootstrap_servers to your own"
            )
        return self

    @property
    def address(self) -> SecuredKafka:
        """Address and security of the cluster, for a client."""
        return SecuredKafka(self.bootstrap_servers, self.security)


class HttpSettings(ConfigModel):
    """Settings of the ingress."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    body_limit_bytes: int = Field(default=2 * 1024 * 1024, ge=1, le=MAX_REQUEST_BYTES)
    max_waiting: int = Field(default=2000, ge=1)
    """Callers that may wait for replies at once; one more is rejected with 503."""
    instance: int = Field(default=0, ge=0)
    """Number of this ingress, from 0; each of the `instances` reads its own share of the reply partitions."""
    instances: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _check_instance(self) -> HttpSettings:
        if self.instance >= self.instances:
            raise ValueError(
                f"instance must be at most {self.instances - 1}: it counts from 0, and instances is {self.instances}"
            )
        return self

    @property
    def url(self) -> str:
        """URL of the ingress from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class ClickHouseSettings(ConfigModel):
    """Settings of ClickHouse, which stores every event."""

    url: str = ""
    """URL of a server. Empty: chDB, the same engine in process, under the state directory."""
    port: int = Field(default=8123, ge=1, le=65535)
    """Port of the read-only endpoint that serves chDB to clients."""
    database: str = Field(default="sluice", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if url and not _is_server_url(url):
            raise ValueError(
                "must be http(s)://user:password@host:port, without a path; in a password / is written %2F, and # %23"
            )
        return url

    @property
    def location(self) -> str:
        """Address to show: the URL without its login."""
        scheme, _, rest = (self.url or f"http://127.0.0.1:{self.port}").partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


def _is_server_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # its message would quote the URL, which may hold a password
        return False
    return bool(complete) and parts.path in {"", "/"} and not parts.query and not parts.fragment


class OverloadSettings(ConfigModel):
    """Settings of overload protection: shares of the call workers, and limits of the queues."""

    batch_share: float = Field(default=0.5, gt=0, le=1)
    """Maximum share of the batch lane in a call worker's calls, and in each provider's."""
    provider_share: float = Field(default=0.8, gt=0, le=1)
    """Maximum share of a call worker's calls that one stalled provider may hold while the others hold none."""
    max_wait_s: float | None = Field(default=None, gt=0)
    """The ingress rejects a request that would wait longer, in seconds. Not set: longer than its caller waits."""
    max_batch_backlog: int = Field(default=100_000, ge=1)
    """Requests of the batch lane that may wait in Kafka; beyond it the ingress rejects more."""
