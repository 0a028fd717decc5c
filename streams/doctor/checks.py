"""`sluice doctor`: look at every part, in the order of the data, and say in one sentence what is wrong with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from connectors.clickhouse import ClickHouseError
from connectors.kafka import BrokerUnavailableError
from schemas.errors import UserError
from streams.config.settings import Settings
from streams.doctor import clickhouse as store
from streams.doctor import disk
from streams.doctor import ingress as door
from streams.doctor import kafka as log
from streams.doctor.finding import CheckWarning, Finding


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at, and who must answer for it."""

    name: str
    run: Callable[[Settings], Awaitable[str]]
    depends_on: frozenset[str] = frozenset()


_KAFKA, _ROWS = frozenset({"Kafka"}), frozenset({"ClickHouse"})
CHECKS = (
    Check("configuration", door.configuration),
    Check("disk", disk.free_space),
    Check("ingress", door.ingress),
    Check("Kafka", log.brokers, _KAFKA),
    Check("topics", log.topics, _KAFKA),
    Check("stages", log.stages, _KAFKA),
    Check("backlog", log.backlog, _KAFKA),
    Check("ClickHouse", store.clickhouse, _ROWS),
    Check("newest row", store.freshness, _KAFKA | _ROWS),
    Check("unsettled requests", store.unsettled, _ROWS),
    Check("dead letters", store.dead_letters, _ROWS),
)


async def run_checks(settings: Settings) -> list[Finding]:
    """All looks. One that fails does not keep the others from being taken, unless they ask who has just not answered.

    That one is then said once.
    """
    findings: list[Finding] = []
    silent: frozenset[str] = frozenset()
    for look in CHECKS:
        if look.depends_on & silent:
            continue
        try:
            findings.append(Finding(look.name, "ok", await look.run(settings)))
        except CheckWarning as worth:
            findings.append(Finding(look.name, "warn", str(worth)))
        except (UserError, httpx.HTTPError) as error:
            silent |= _silent(look, error)
            findings.append(Finding(look.name, "BAD", str(error) or type(error).__name__))
    return findings


def _silent(look: Check, error: Exception) -> frozenset[str]:
    """Who would only say the same again: a Kafka or a ClickHouse that is away, or has no tables of ours."""
    if isinstance(error, BrokerUnavailableError):
        return _KAFKA
    return look.depends_on - _KAFKA if isinstance(error, ClickHouseError) else frozenset()
