"""Runs stages and their servers in one process until a signal or a failure."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import structlog

from connectors.kafka import patches
from connectors.kafka.connection import translate_errors
from schemas.kafka.stages import STAGES
from streams import logging as logs
from streams.composition import ingress_config, make_stage, worker_config
from streams.config.api_keys import check_binding
from streams.config.settings import ConfigurationError, Settings
from streams.config.signing_keys import load_signing_keys
from streams.provisioning.topics import verify_topics
from streams.runtime import health
from streams.runtime.worker import Worker

log = structlog.get_logger()

SHUTDOWN_TIMEOUT_S = 14.0
"""From the signal to the exit: longer than an ingress waits for its callers, shorter than the supervisor's timeout."""
ASSIGNMENT_TIMEOUT_S = 30.0
"""Time for a worker to get partitions before it is announced without any."""
GC_THRESHOLDS = (50_000, 20, 50)
"""Thresholds of Python's garbage collector for its three generations. Python's defaults are 700, 10, 10."""
GC_THRESHOLDS_OF_AUDIT = (500_000, 20, 50)
"""The same for audit, which holds batches of records: a record has at most 15 containers, so that two full batches
start no collection."""


async def run(names: Sequence[str], settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> int:
    """Run these stages in this process. The exit code is 0 after a signal, and 1 if a part has failed.

    Raises:
        ConfigurationError, KafkaFaultError, ClickHouseError: a part can't start; one sentence says why.

    """
    patches.apply()
    if not os.environ.get("SLUICE_SUPERVISED"):  # otherwise the supervisor has done it
        await verify_topics(settings)
    _tune_garbage_collector(GC_THRESHOLDS_OF_AUDIT if "audit" in names else GC_THRESHOLDS)
    stop = _on_signal()
    signing_keys = _signing_keys(names, settings)
    workers = [_make_worker(name, settings, signing_keys) for name in names if name != "ingress"]
    parts = _servers(names, settings, workers, stop, signing_keys)
    parts += [asyncio.create_task(_run_worker(worker, settings), name=worker.stage.name) for worker in workers]
    announcement = asyncio.create_task(_announce(names, settings, workers, on_ready)) if on_ready else None
    try:
        return 1 if await _wait_for_first_exit(stop, parts) else 0
    finally:
        stop.set()
        if announcement:
            announcement.cancel()
        _shutdown_within(SHUTDOWN_TIMEOUT_S, names)
        for part in parts:
            if part.get_name() in STAGES:
                part.cancel()
        await asyncio.gather(*parts, *(worker.stop() for worker in workers), return_exceptions=True)


async def _announce(
    names: Sequence[str], settings: Settings, workers: Sequence[Worker], on_ready: Callable[[str], None]
) -> None:
    """Report once that every worker has partitions and the ingress listens.

    A worker without partitions after ``ASSIGNMENT_TIMEOUT_S`` is a spare one, which is reported with 0.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ASSIGNMENT_TIMEOUT_S):
            while not all(worker.assigned for worker in workers):  # noqa: ASYNC110 - Faust has no event for it
                await asyncio.sleep(0.1)
    parts = [f"{worker.stage.name} is running, {worker.assigned} partitions" for worker in workers]
    if "ingress" in names and settings.http.port:
        while not await _is_listening(settings):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.1)
        parts.append(f"ingress is listening on {settings.http.url}")
    on_ready(f"{'; '.join(parts)}; Ctrl-C to stop")


async def _is_listening(settings: Settings) -> bool:
    try:
        _, writer = await asyncio.open_connection(settings.http.host, settings.http.port)
    except OSError:
        return False
    writer.close()
    return True


def _tune_garbage_collector(thresholds: tuple[int, int, int]) -> None:
    """Search for reference cycles less often, because each search visits thousands of records in flight.

    At 200 in flight that was a fifth of all CPU, and most of the latency of the slowest requests. Cycles are rare here.
    """
    gc.collect()
    gc.freeze()  # modules stay loaded: never search them
    gc.set_threshold(*thresholds)


def _shutdown_within(seconds: float, names: Sequence[str]) -> None:
    """Exit after this time even if a part hangs: without a broker, no worker can commit or leave its group.

    Unfinished records are delivered again to the next worker, as after a crash.
    """

    def exit_now() -> None:
        log.error("shutdown.timed_out", stages=" ".join(names), timeout_s=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, exit_now)
    timer.daemon = True
    timer.start()


def _signing_keys(names: Sequence[str], settings: Settings) -> tuple[bytes, ...]:
    """Return the signing keys if this process runs the ingress or the filter."""
    both = {"ingress", "filter"}
    if both.isdisjoint(names):
        return ()
    is_whole = both <= set(names) or bool(os.environ.get("SLUICE_SUPERVISED"))
    return load_signing_keys(settings, may_create=is_whole)


def _make_worker(name: str, settings: Settings, signing_keys: tuple[bytes, ...]) -> Worker:
    stage = make_stage(name, settings, signing_keys)
    return Worker(stage, settings.topics, settings.kafka.address, worker_config(settings))


async def _run_worker(worker: Worker, settings: Settings) -> object:
    """Start a worker, wait until it fails, and return the reason."""
    async with translate_errors(settings.kafka.address):
        await worker.start()
    log.info("worker.started", stage=worker.stage.name)
    return await worker.wait_until_failed()


def _servers(
    names: Sequence[str],
    settings: Settings,
    workers: Sequence[Worker],
    stop: asyncio.Event,
    signing_keys: tuple[bytes, ...] = (),
) -> list[asyncio.Task[object]]:
    """Start the HTTP servers of this process: the ingress if it is one of the stages, health if it has a port."""
    tasks: list[asyncio.Task[object]] = []
    if "ingress" in names:
        from streams.ingress.server import serve
        from streams.provisioning.clickhouse import reader_settings

        check_binding(settings)
        config = dataclasses.replace(ingress_config(settings, signing_keys), clickhouse=reader_settings(settings))
        tasks.append(asyncio.create_task(serve(config, stop), name="ingress"))
    if port := os.environ.get("SLUICE_HEALTH_PORT"):
        if not port.isdecimal():
            raise ConfigurationError("SLUICE_HEALTH_PORT must be a port number")
        host = os.environ.get("SLUICE_HEALTH_HOST", "127.0.0.1")
        tasks.append(asyncio.create_task(health.serve(workers, host, int(port), stop), name="health"))
    return tasks


async def _wait_for_first_exit(stop: asyncio.Event, parts: Sequence[asyncio.Task[object]]) -> bool:
    """Wait for the stop signal or the first failure; return whether a part has failed."""
    waiter = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait([waiter, *parts], return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        return False
    waiter.cancel()
    part = done.pop()
    reason = part.result()  # raises the error that ended it
    details = logs.describe_error(reason) if isinstance(reason, Exception) else {}
    log.error("part.failed", part=part.get_name(), **details)
    return True


def _on_signal() -> asyncio.Event:
    """Return an event that is set on SIGINT, on SIGTERM, and when the supervisor's process exits."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if os.environ.get("SLUICE_SUPERVISED"):
        loop.add_reader(sys.stdin.fileno(), lambda: _on_parent_exit(stop, loop))
    return stop


def _on_parent_exit(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    """Set the event at the end of standard input, a pipe that closes when the supervisor exits for any reason."""
    with contextlib.suppress(OSError):
        if os.read(sys.stdin.fileno(), 1):
            return
    loop.remove_reader(sys.stdin.fileno())
    stop.set()
