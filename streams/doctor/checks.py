"""Checks of `sluice doctor`, in the order of the data. Each finding is one sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from connectors.clickhouse import ClickHouseError
from connectors.kafka import BrokerUnavailableError
from schemas.errors import UserError
from streams.config.settings import Settings
from streams.doctor import clickhouse, disk, ingress, kafka
from streams.doctor.finding import CheckWarning, Finding


@dataclass(frozen=True, slots=True)
class Check:
    """One check, and the systems that it needs."""

    name: str
    run: Callable[[Settings], Awaitable[str]]
    depends_on: frozenset[str] = frozenset()


_KAFKA, _CLICKHOUSE = frozenset({"Kafka"}), frozenset({"ClickHouse"})
CHECKS = (
    Check("configuration", ingress.configuration),
    Check("disk", disk.free_space),
    Check("ingress", ingress.ingress),
    Check("Kafka", kafka.brokers, _KAFKA),
    Check("topics", kafka.topics, _KAFKA),
    Check("stages", kafka.stages, _KAFKA),
    Check("backlog", kafka.backlog, _KAFKA),
    Check("ClickHouse", clickhouse.clickhouse, _CLICKHOUSE),
    Check("newest row", clickhouse.freshness, _KAFKA | _CLICKHOUSE),
    Check("running config", clickhouse.running_configuration, _CLICKHOUSE),
    Check("unsettled requests", clickhouse.unsettled_requests, _CLICKHOUSE),
    Check("dead letters", clickhouse.dead_letters, _CLICKHOUSE),
)


async def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks, also after one fails. Checks that depend on an unavailable system are skipped."""
    findings: list[Finding] = []
    unavailable: frozenset[str] = frozenset()
    for check in CHECKS:
        if check.depends_on & unavailable:
            continue
        try:
            findings.append(Finding(check.name, "ok", await check.run(settings)))
        except CheckWarning as warning:
            findings.append(Finding(check.name, "warn", str(warning)))
        except (UserError, httpx.HTTPError) as error:
            unavailable |= _unavailable(check, error)
            findings.append(Finding(check.name, "BAD", str(error) or type(error).__name__))
    return findings


def _unavailable(check: Check, error: Exception) -> frozenset[str]:
    """Return the system that did not answer, or has no tables: later checks would only repeat it."""
    if isinstance(error, BrokerUnavailableError):
        return _KAFKA
    return check.depends_on - _KAFKA if isinstance(error, ClickHouseError) else frozenset()
