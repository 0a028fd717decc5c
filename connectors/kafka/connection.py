"""How every client of ours reaches Kafka, and what it says when it can't."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from connectors.kafka.security import login_diagnosis as refusal
from connectors.kafka.security import tls
from connectors.kafka.security.oauth import token_source
from connectors.kafka.security.settings import Security

CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 30.0
"""A busy broker takes its time to make many topics."""


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A Kafka that wants encryption or a login."""

    bootstrap_servers: str
    """HOST:PORT of some brokers, separated by commas."""
    security: Security

    def __str__(self) -> str:
        return self.bootstrap_servers


KafkaAddress = str | SecuredKafka
"""Where Kafka is. A string alone is one without encryption and login."""


def client_settings(bootstrap: KafkaAddress) -> dict[str, Any]:
    """What every client is made with. Encryption and login are said here and nowhere else.

    Raises:
        SecurityError: a file that the encryption needs can't be used.

    """
    settings: dict[str, Any] = {"bootstrap_servers": str(bootstrap)}
    if isinstance(bootstrap, SecuredKafka):
        security = bootstrap.security
        settings["security_protocol"] = security.security_protocol
        if security.encrypts:
            settings["ssl_context"] = tls.context(security)
        if security.logs_in:
            settings |= _login(security)
    return settings


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
    """Turn a client's own errors into a sentence.

    Raises:
        BrokerUnavailableError: in place of any failure to talk to Kafka; a SecurityError if it does not let us in.

    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise await refusal.diagnose_login(client_settings(bootstrap), error) from error


@contextlib.asynccontextmanager
async def admin_client(bootstrap: KafkaAddress) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for questions about the cluster, closed behind the block.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    client = await open_admin_client(bootstrap)
    try:
        yield client
    finally:
        await client.close()


async def open_admin_client(bootstrap: KafkaAddress) -> AIOKafkaAdminClient:
    """The same, to be closed by the caller."""
    client = AIOKafkaAdminClient(**client_settings(bootstrap), request_timeout_ms=int(_ANSWER_TIMEOUT_S * 1000))
    try:
        async with translate_errors(bootstrap):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.start()
    except BaseException:
        await client.close()
        raise
    return client
