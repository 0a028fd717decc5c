"""Server of the ingress: binds the socket, connects to Kafka, serves, and drains waiting callers at shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import structlog
import uvicorn

from connectors import clickhouse
from connectors.kafka import BacklogReader, Groups, KafkaProducer, PartitionReader
from streams.config.deployment import ClickHouseSettings, HttpSettings
from streams.config.settings import ANONYMOUS_TENANT, ConfigurationError
from streams.http.bounded_protocol import BoundedProtocol
from streams.http.server import BACKLOG, Server, listening
from streams.ingress.admission.backlog_monitor import monitor_backlog
from streams.ingress.app import Ingress
from streams.ingress.config import IngressConfig
from streams.ingress.replies.history import ReplyHistory
from streams.ingress.replies.reader import ReplySource, consume_replies

GRACE_S = 10.0
"""Time that waiting callers have to receive their replies after the signal to stop."""

_CUT_S = int(GRACE_S) + 2
"""After this time even a response that its client does not read is cut off."""

_KEEP_ALIVE_S = 75
"""Longer than client pools keep an idle connection, so that the client closes it first."""

_log = structlog.get_logger()


async def serve(config: IngressConfig, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set, and then until waiting callers have their answers, at most 10 s more.

    Raises:
        ConfigurationError: the address can't be bound, or this instance has no reply partitions.
        KafkaFaultError: Kafka does not answer, or lacks the reply topic.

    """
    address, replies = config.kafka.address, config.topics.ingress_replies.name
    partitions = config.reply_partitions
    if not partitions:
        raise ConfigurationError(
            f"http.instance: {config.http.instance} of {config.http.instances} has none of the "
            f"{config.kafka.partitions} reply partitions; run at most as many instances as kafka.partitions"
        )
    with bound(config.http) as listener:
        async with (
            KafkaProducer(address) as producer,
            PartitionReader(address, [(replies, partition) for partition in partitions]) as reader,
            contextlib.AsyncExitStack() as stack,
        ):
            groups = Groups(address)
            stack.push_async_callback(groups.close)
            lookup = ReplyHistory(stack.enter_context(contextlib.closing(_clickhouse(config.clickhouse))))
            ingress = Ingress(config, producer, lambda: groups.missing(config.topics), lookup)
            backlog = BacklogReader(address)
            stack.push_async_callback(backlog.close)
            monitor = asyncio.create_task(
                monitor_backlog(ingress.wait_estimator, backlog.measure, config.topics), name="backlog"
            )
            stack.callback(monitor.cancel)
            _announce(config, listener)
            await live(ingress, reader, listener, stop)


async def live(ingress: Ingress, replies: ReplySource, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve HTTP on a socket and consume replies, until ``stop`` is set and no caller waits.

    Raises:
        Exception: replies can't be consumed any more, so no caller would receive one.

    """
    server = Server(_config(ingress))
    consumer = asyncio.create_task(consume_replies(replies, ingress.deliver), name="replies")
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    closing = asyncio.create_task(_close(stop, server, ingress), name="close")
    try:
        await asyncio.wait({consumer, serving}, return_when=asyncio.FIRST_COMPLETED)
        if consumer.done():
            stop.set()
            ingress.abort_all()
        await serving
    finally:
        for task in (closing, consumer):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await consumer


async def _close(stop: asyncio.Event, server: uvicorn.Server, ingress: Ingress) -> None:
    await stop.wait()
    server.should_exit = True
    await asyncio.sleep(GRACE_S)
    ingress.abort_all()


def _clickhouse(settings: ClickHouseSettings) -> clickhouse.ClickHouseClient:
    """Return a client of the ClickHouse server, or of the endpoint where the audit process serves its chDB."""
    url = settings.url or f"http://127.0.0.1:{settings.port}"
    return clickhouse.ClickHouseClient.server(url, settings.database, read_only=True)


def _config(ingress: Ingress) -> uvicorn.Config:
    return uvicorn.Config(
        ingress,
        interface="asgi3",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_CUT_S,
    )


def bound(http: HttpSettings) -> contextlib.AbstractContextManager[socket.socket]:
    """Return a socket that listens on the configured address."""
    return listening(http.host, http.port, "SLUICE_HTTP_PORT")


def _announce(config: IngressConfig, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    _log.info("ingress.listening", host=host, port=port)
    if not config.keys and not os.environ.get("SLUICE_SUPERVISED"):  # else the ready screen shows it
        _log.warning(
            "ingress.open",
            tenant=ANONYMOUS_TENANT,
            reason="no keys are configured, so any local process has access",
        )
