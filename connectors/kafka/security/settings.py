"""Security settings of Kafka connections, with the names that Kafka's own clients use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class OAuth(BaseModel):
    """Token endpoint and credentials for OAuth 2's client credentials grant (RFC 6749, section 4.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_endpoint_url: str = Field(pattern=r"^https?://[^/\s@]+(/\S*)?$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    scope: str = ""
    """Several scopes are separated by blanks."""


class Security(BaseModel):
    """Encryption and login that a Kafka listener requires. Files are PEM, and are read whenever a client is created."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism | None = None
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_cafile: str = ""
    """CA certificates that signed the brokers' certificates; empty: those that the machine trusts."""
    ssl_certfile: str = ""
    """Client certificate, and the intermediate ones up to the CA."""
    ssl_keyfile: str = ""
    """Private key of the client certificate; empty: it is in `ssl_certfile`."""
    ssl_password: SecretStr = SecretStr("")
    """Password of the private key, if it is encrypted."""
    ssl_check_hostname: bool = True
    """Check that a broker's certificate is for the host name of the connection."""
    oauth: OAuth | None = None

    @property
    def encrypts(self) -> bool:
        """True if the connection uses TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def logs_in(self) -> bool:
        """True if the connection has a login (SASL)."""
        return self.security_protocol.startswith("SASL_")

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        for contradiction in (*_login_faults(self), *_encryption_faults(self)):
            raise ValueError(contradiction)
        return self


def _login_faults(settings: Security) -> Iterator[str]:
    named = settings.username or settings.password.get_secret_value()
    if not settings.logs_in:
        if settings.sasl_mechanism or named or settings.oauth:
            yield (
                "sasl_mechanism, username, password and oauth are for security_protocol SASL_SSL or SASL_PLAINTEXT,"
                f" and it is {settings.security_protocol}"
            )
    elif settings.sasl_mechanism is None:
        yield f"{settings.security_protocol} needs a sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    elif settings.sasl_mechanism == "OAUTHBEARER":
        if settings.oauth is None:
            yield "OAUTHBEARER needs oauth, with a token_endpoint_url, a client_id and a client_secret"
        if named:
            yield "OAUTHBEARER logs in with a token: leave out username and password"
    else:
        if not (settings.username and settings.password.get_secret_value()):
            yield f"{settings.sasl_mechanism} needs a username and a password"
        if settings.oauth:
            yield f"oauth is for sasl_mechanism OAUTHBEARER, and it is {settings.sasl_mechanism}"


def _encryption_faults(settings: Security) -> Iterator[str]:
    files = (
        settings.ssl_cafile or settings.ssl_certfile or settings.ssl_keyfile or settings.ssl_password.get_secret_value()
    )
    if not settings.encrypts and (files or not settings.ssl_check_hostname):
        yield f"ssl_ settings are for security_protocol SSL or SASL_SSL, and it is {settings.security_protocol}"
    if settings.ssl_keyfile and not settings.ssl_certfile:
        yield "ssl_keyfile needs the ssl_certfile that it belongs to"
    if settings.ssl_password.get_secret_value() and not settings.ssl_certfile:
        yield "ssl_password needs ssl_keyfile or ssl_certfile"
