"""How every client of ours reaches Kafka, and what it says when it can't."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from connectors.kafka.errors import BrokerUnavailableError

CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 30.0
"""A busy broker takes its time to make many topics."""


def client_settings(bootstrap: str) -> dict[str, str]:
    """What every client is made with. Encryption and authentication will be said here and nowhere else.

    Args:
        bootstrap: HOST:PORT of some brokers, separated by commas.

    """
    return {"bootstrap_servers": bootstrap}


@contextlib.contextmanager
def explained(bootstrap: str) -> Iterator[None]:
    """Turn a client's own errors into a sentence.

    Raises:
        BrokerUnavailableError: in place of any failure to talk to Kafka.

    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"Kafka at {bootstrap} does not answer; is it running? SLUICE_KAFKA names it"
        ) from error


@contextlib.asynccontextmanager
async def administration(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for questions about the cluster, closed behind the block.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    client = await open_administration(bootstrap)
    try:
        yield client
    finally:
        await client.close()


async def open_administration(bootstrap: str) -> AIOKafkaAdminClient:
    """The same, to be closed by the caller."""
    client = AIOKafkaAdminClient(**client_settings(bootstrap), request_timeout_ms=int(_ANSWER_TIMEOUT_S * 1000))
    try:
        with explained(bootstrap):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.start()
    except BaseException:
        await client.close()
        raise
    return client
