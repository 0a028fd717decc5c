"""`sluice doctor`: look at every part, in the order of the data, and say in one sentence what is wrong with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from connectors.clickhouse import ClickHouseError
from connectors.kafka import BrokerUnavailableError
from schemas.errors import PlainError
from streams.config.settings import Settings
from streams.doctor import clickhouse as store
from streams.doctor import disk
from streams.doctor import ingress as door
from streams.doctor import kafka as log
from streams.doctor.finding import Finding, Worth


@dataclass(frozen=True, slots=True)
class Look:
    """One thing to look at, and who must answer for it."""

    what: str
    take: Callable[[Settings], Awaitable[str]]
    asks: frozenset[str] = frozenset()


_KAFKA, _ROWS = frozenset({"Kafka"}), frozenset({"ClickHouse"})
LOOKS = (
    Look("configuration", door.configuration),
    Look("disk", disk.room),
    Look("ingress", door.ingress),
    Look("Kafka", log.brokers, _KAFKA),
    Look("topics", log.topics, _KAFKA),
    Look("stages", log.stages, _KAFKA),
    Look("backlog", log.backlog, _KAFKA),
    Look("ClickHouse", store.clickhouse, _ROWS),
    Look("newest row", store.freshness, _KAFKA | _ROWS),
    Look("unsettled requests", store.unsettled, _ROWS),
    Look("dead letters", store.dead_letters, _ROWS),
)


async def examine(settings: Settings) -> list[Finding]:
    """All looks. One that fails does not keep the others from being taken, unless they ask who has just not answered.

    That one is then said once.
    """
    findings: list[Finding] = []
    silent: frozenset[str] = frozenset()
    for look in LOOKS:
        if look.asks & silent:
            continue
        try:
            findings.append(Finding(look.what, "ok", await look.take(settings)))
        except Worth as worth:
            findings.append(Finding(look.what, "warn", str(worth)))
        except (PlainError, httpx.HTTPError) as error:
            silent |= _silent(look, error)
            findings.append(Finding(look.what, "BAD", str(error) or type(error).__name__))
    return findings


def _silent(look: Look, error: Exception) -> frozenset[str]:
    """Who would only say the same again: a Kafka or a ClickHouse that is away, or has no tables of ours."""
    if isinstance(error, BrokerUnavailableError):
        return _KAFKA
    return look.asks - _KAFKA if isinstance(error, ClickHouseError) else frozenset()
