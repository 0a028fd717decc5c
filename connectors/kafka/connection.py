"""Client settings, admin connections, and translation of aiokafka's errors, for every Kafka client of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from connectors.kafka import patches
from connectors.kafka.security import tls
from connectors.kafka.security.login_diagnosis import diagnose_login
from connectors.kafka.security.oauth import token_source
from connectors.kafka.security.settings import Security

CONNECT_TIMEOUT_S = 5.0
_ADMIN_REQUEST_TIMEOUT_S = 30.0
"""A busy broker needs this long to create many topics."""


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """Address of a Kafka that requires encryption or a login."""

    bootstrap_servers: str
    """HOST:PORT of some brokers, separated by commas."""
    security: Security

    def __str__(self) -> str:
        return self.bootstrap_servers


KafkaAddress = str | SecuredKafka
"""Bootstrap servers of a Kafka. A string alone means neither encryption nor login."""


def client_settings(bootstrap: KafkaAddress) -> dict[str, Any]:
    """Return the keyword arguments that every client has in common: bootstrap servers, encryption and login.

    Raises:
        SecurityError: a file that encryption needs can't be used.
        RuntimeError: aiokafka is not patched. Every client is configured here, so that none runs without the patches.

    """
    patches.check_applied()
    settings: dict[str, Any] = {"bootstrap_servers": str(bootstrap)}
    if isinstance(bootstrap, SecuredKafka):
        security = bootstrap.security
        settings["security_protocol"] = security.security_protocol
        if security.encrypts:
            settings["ssl_context"] = tls.create_context(security)
        if security.logs_in:
            settings |= _login(security)
    return settings


def consumer_settings(bootstrap: KafkaAddress) -> dict[str, Any]:
    """Return the keyword arguments of every consumer: those of all clients, and ``read_committed``.

    No record of an aborted or open transaction is read, and end offsets are last stable offsets.

    Raises:
        SecurityError: a file that encryption needs can't be used.

    """
    return client_settings(bootstrap) | {"isolation_level": "read_committed"}


def _login(security: Security) -> dict[str, Any]:
    if security.oauth:
        return {"sasl_mechanism": security.sasl_mechanism, "sasl_oauth_token_provider": token_source(security.oauth)}
    return {
        "sasl_mechanism": security.sasl_mechanism,
        "sasl_plain_username": security.username,
        "sasl_plain_password": security.password.get_secret_value(),
    }


@contextlib.asynccontextmanager
async def translate_errors(bootstrap: KafkaAddress) -> AsyncIterator[None]:
    """Turn a client's own errors into errors with a sentence for the operator.

    Raises:
        BrokerUnavailableError: in place of any failure to reach Kafka; a SecurityError if Kafka refuses the connection.

    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise await diagnose_login(client_settings(bootstrap), error) from error


@contextlib.asynccontextmanager
async def admin_client(bootstrap: KafkaAddress) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client, and close it after the block.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    client = await open_admin_client(bootstrap)
    try:
        yield client
    finally:
        await client.close()


async def open_admin_client(bootstrap: KafkaAddress) -> AIOKafkaAdminClient:
    """Open an admin client, which the caller closes.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    client = AIOKafkaAdminClient(**client_settings(bootstrap), request_timeout_ms=int(_ADMIN_REQUEST_TIMEOUT_S * 1000))
    try:
        async with translate_errors(bootstrap):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.start()
    except BaseException:
        await client.close()
        raise
    return client
