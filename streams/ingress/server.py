"""The ingress as a process lives it: bind, connect, serve, and let the waiting have their answers before it goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import structlog
import uvicorn

from connectors import clickhouse
from connectors.kafka import BacklogReader, Groups, KafkaProducer, PartitionReader
from streams.config.api_keys import check_binding
from streams.config.deployment import ClickHouseSettings, HttpSettings
from streams.config.settings import ANONYMOUS_TENANT, ConfigurationError, Settings
from streams.http.bounded_protocol import BoundedProtocol
from streams.http.server import BACKLOG, Server, listening
from streams.ingress.admission.backlog_monitor import monitor_backlog
from streams.ingress.app import Ingress, reply_partitions
from streams.ingress.replies.history import ReplyHistory
from streams.ingress.replies.reader import ReplySource, consume_replies

GRACE_S = 10.0
"""How long those who wait may go on waiting once the ingress is told to stop."""

_CUT_S = int(GRACE_S) + 2
"""Then even a response that its client does not read is cut off."""

_KEEP_ALIVE_S = 75
"""Longer than any client's pool keeps a connection: the side that closes first must be the client's."""

_log = structlog.get_logger()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set, and then until those who wait have their answers, at most 10 s more.

    Raises:
        ConfigurationError: the address can't be bound, or must not be without keys.
        KafkaFaultError: Kafka does not answer, or lacks the reply topic.

    """
    check_binding(settings)
    bootstrap, replies = settings.kafka.address, settings.topics.ingress_replies.name
    partitions = reply_partitions(settings)
    if not partitions:
        raise ConfigurationError(
            f"http.instance: {settings.http.instance} of {settings.http.instances} gets none of the "
            f"{settings.kafka.partitions} reply partitions; run at most as many instances as kafka.partitions"
        )
    with bound(settings.http) as listener:
        async with (
            KafkaProducer(bootstrap) as producer,
            PartitionReader(bootstrap, [(replies, partition) for partition in partitions]) as reader,
            contextlib.AsyncExitStack() as leaving,
        ):
            groups = Groups(bootstrap)
            leaving.push_async_callback(groups.close)
            lookup = ReplyHistory(leaving.enter_context(contextlib.closing(_clickhouse(settings.clickhouse))))
            ingress = Ingress(settings, producer, lambda: groups.missing(settings.topics), lookup)
            backlog = BacklogReader(bootstrap)
            leaving.push_async_callback(backlog.close)
            watching = asyncio.create_task(
                monitor_backlog(ingress.wait_estimator, backlog.measure, settings.topics), name="backlog"
            )
            leaving.callback(watching.cancel)
            _announce(settings, listener)
            await live(ingress, reader, listener, stop)


async def live(ingress: Ingress, replies: ReplySource, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve HTTP on a socket and follow the replies, until ``stop`` is set and the waiting are gone.

    Raises:
        Exception: the replies can't be followed any more; nobody would ever be answered.

    """
    server = Server(_config(ingress))
    following = asyncio.create_task(consume_replies(replies, ingress.deliver), name="replies")
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    closing = asyncio.create_task(_close(stop, server, ingress), name="close")
    try:
        await asyncio.wait({following, serving}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            stop.set()
            ingress.abort_all()
        await serving
    finally:
        for task in (closing, following):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def _close(stop: asyncio.Event, server: uvicorn.Server, ingress: Ingress) -> None:
    await stop.wait()
    server.should_exit = True
    await asyncio.sleep(GRACE_S)
    ingress.abort_all()


def _clickhouse(settings: ClickHouseSettings) -> clickhouse.ClickHouseClient:
    """The server, or the endpoint through which the audit process serves its chDB."""
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
    """A socket that listens where the configuration says."""
    return listening(http.host, http.port, "SLUICE_HTTP_PORT")


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    _log.info("ingress.listening", host=host, port=port)
    if not settings.keys and not os.environ.get("SLUICE_SUPERVISED"):  # else the ready screen shows it
        _log.warning(
            "ingress.open", tenant=ANONYMOUS_TENANT, reason="no keys are configured: anyone on this machine may call"
        )
