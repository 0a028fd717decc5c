"""Diagnosis of failed connections: connects once more to find the cause, which the client's own error does not name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from connectors.kafka.errors import BrokerUnavailableError, SecurityError
from connectors.kafka.security.oauth import TokenError

_PROBE_S = 2.0
_FORBIDDEN = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)


async def diagnose_login(settings: Mapping[str, Any], error: Exception) -> BrokerUnavailableError:
    """Return the error that describes a failure to reach Kafka in one sentence. This takes at most two seconds more.

    Args:
        settings: the client's settings.
        error: the client's error.

    """
    kafka = f"Kafka at {settings['bootstrap_servers']}"
    if isinstance(error, _FORBIDDEN):
        return SecurityError(f"{kafka} denies permission ({type(error).__name__}); docs/kafka-security.md has the ACLs")
    # after a timeout, another attempt would also time out
    for cause in [] if isinstance(error, TimeoutError) else await _causes(settings):
        if sentence := _sentence(cause, settings):
            return SecurityError(f"{kafka} {sentence}")
        if isinstance(cause, TokenError):
            return SecurityError(str(cause))
    return BrokerUnavailableError(f"{kafka} does not answer; is it running? SLUICE_KAFKA names it")


def _sentence(cause: BaseException, settings: Mapping[str, Any]) -> str:
    """Return the explanation of a cause; empty if it is unknown."""
    protocol, mechanism = settings.get("security_protocol", "PLAINTEXT"), settings.get("sasl_mechanism")
    match cause:
        case SaslAuthenticationFailed() if mechanism == "OAUTHBEARER":
            return "does not take our token; is kafka.security.oauth for this Kafka, and its scope the right one?"
        case SaslAuthenticationFailed():
            return f"refuses our login by {mechanism}; check username and password under kafka.security"
        case UnsupportedSaslMechanismError():
            return f"does not take {mechanism}; kafka.security.sasl_mechanism must be one that its listener has"
        case IllegalSaslStateError():
            return f"wants no login there; kafka.security.security_protocol is {protocol}, and its listener has another"
        case ssl.SSLCertVerificationError():
            return (
                f"has an untrusted certificate ({cause.verify_message}); kafka.security.ssl_cafile must name"
                " the CA that signed it"
            )
        case ssl.SSLError() if "ALERT" in (cause.reason or ""):
            return f"rejects our certificate ({cause.reason}); check kafka.security.ssl_certfile"
        case ssl.SSLError() | ConnectionResetError() | BrokenPipeError() | KafkaConnectionError():
            return (
                f"closes the connection before it answers; kafka.security.security_protocol is {protocol},"
                " and its listener seems to have another"
            )
    return ""


async def _causes(settings: Mapping[str, Any]) -> list[BaseException]:
    """Return the causes of each broker's failure, the innermost of each first."""
    found: list[BaseException] = []
    try:
        async with asyncio.timeout(_PROBE_S):
            for host, port, _ in collect_hosts(settings["bootstrap_servers"]):
                found += await _probe(host, port, settings)
    except TimeoutError as error:
        found.append(error)
    return found


async def _probe(host: str, port: int, settings: Mapping[str, Any]) -> list[BaseException]:
    options = {name: value for name, value in settings.items() if name != "bootstrap_servers"}
    connection = None
    try:
        connection = await create_conn(host, port, request_timeout_ms=int(_PROBE_S * 1000), **options)
        await connection.send(MetadataRequest([]))
    except (KafkaError, OSError) as error:
        return list(_chain(error))[::-1]
    finally:
        if connection is not None:
            connection.close()
    return []


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
