"""How we get into Kafka: encryption and login, in the words of Kafka's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class OAuth(BaseModel):
    """Where a token comes from: OAuth 2's client credentials grant (RFC 6749, section 4.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_endpoint_url: str = Field(pattern=r"^https?://[^/\s@]+(/\S*)?$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    scope: str = ""
    """Several are separated by blanks."""


class Security(BaseModel):
    """What a listener of Kafka wants of its clients. Files are PEM, and read whenever a client is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism | None = None
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_cafile: str = ""
    """Who signed the brokers' certificates; empty: who this machine trusts."""
    ssl_certfile: str = ""
    """Our own certificate, and those between it and the CA."""
    ssl_keyfile: str = ""
    """Its private key; empty: it stands in `ssl_certfile`."""
    ssl_password: SecretStr = SecretStr("")
    """Of the private key, if it is encrypted."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must be for the name that we connect to."""
    oauth: OAuth | None = None

    @property
    def encrypts(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def logs_in(self) -> bool:
        """Whether there is a login (SASL) on the connection."""
        return self.security_protocol.startswith("SASL_")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for contradiction in (*_of_login(self), *_of_encryption(self)):
            raise ValueError(contradiction)
        return self


def _of_login(it: Security) -> Iterator[str]:
    named = it.username or it.password.get_secret_value()
    if not it.logs_in:
        if it.sasl_mechanism or named or it.oauth:
            yield (
                "sasl_mechanism, username, password and oauth are for security_protocol SASL_SSL or SASL_PLAINTEXT,"
                f" and it is {it.security_protocol}"
            )
    elif it.sasl_mechanism is None:
        yield f"{it.security_protocol} needs a sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    elif it.sasl_mechanism == "OAUTHBEARER":
        if it.oauth is None:
            yield "OAUTHBEARER needs oauth, with a token_endpoint_url, a client_id and a client_secret"
        if named:
            yield "OAUTHBEARER logs in with a token: leave out username and password"
    else:
        if not (it.username and it.password.get_secret_value()):
            yield f"{it.sasl_mechanism} needs a username and a password"
        if it.oauth:
            yield f"oauth is for sasl_mechanism OAUTHBEARER, and it is {it.sasl_mechanism}"


def _of_encryption(it: Security) -> Iterator[str]:
    files = it.ssl_cafile or it.ssl_certfile or it.ssl_keyfile or it.ssl_password.get_secret_value()
    if not it.encrypts and (files or not it.ssl_check_hostname):
        yield f"what begins with ssl_ is for security_protocol SSL or SASL_SSL, and it is {it.security_protocol}"
    if it.ssl_keyfile and not it.ssl_certfile:
        yield "ssl_keyfile needs the ssl_certfile that it belongs to"
    if it.ssl_password.get_secret_value() and not it.ssl_certfile:
        yield "ssl_password is of a private key, and there is neither ssl_keyfile nor ssl_certfile"
