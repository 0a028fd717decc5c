"""One run of the benchmark: what stands there to be measured, how it is measured, and what was found."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from benchmarks.connection import Connection
from benchmarks.gateway import Gateway
from benchmarks.load import Outcome
from benchmarks.processes import cpu_s, watched
from benchmarks.provider import Provider

PROMPT = ("The quick brown fox jumps over the lazy dog. " * 23)[:1000]
SIMULATED = "sim/echo"
"""Answers at once, within the call worker."""
STALLED = "stalled"
"""An alias for a model of the provider double that never answers."""
SLOW = "slow"
"""An alias for a model of the provider double that thinks as long as `--seconds-per-call` says."""


def question(model: str, prompt: str = PROMPT, *, stream: bool = False) -> bytes:
    """The body of a request."""
    asked: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return json.dumps(asked | ({"stream": True} if stream else {})).encode()


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway, which was started by hand and told to call our provider double."""

    name: str
    url: str
    """Of its chat completions."""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line; times in seconds."""

    seconds: float = 15.0
    warm: float = 30.0
    """Before the first load: a broker that has just started is still compiling itself."""
    sustained: float = 300.0
    stall: float = 600.0
    calls: int = 2000
    workers: int = 1
    seconds_per_call: float = 10.0
    peers: tuple[Peer, ...] = ()
    peer_model: str = "echo"
    peer_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Row:
    """What one load has shown. None: it was not measured, or makes no sense here."""

    load: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    rate: float
    errors: Mapping[str, int]
    """What came instead of answers, and how often."""
    cpu_ms: dict[str, float]
    """Of each process, per answered request."""
    client_cpu_ms: float
    memory_mb: dict[str, tuple[float, float, float]]
    """Resident, of each process: at the start, in the middle, at the end."""
    begin_ms: int
    end_ms: int
    """When, in milliseconds since the epoch."""
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    """Over the direct call."""
    stored_p99_ms: float | None = None
    """From a request's end until it can be queried."""

    def over(self, direct: Row) -> None:
        """Say what was added to the direct call."""
        self.added_p50_ms = self.p50_ms - direct.p50_ms
        self.added_p99_ms = self.p99_ms - direct.p99_ms


@dataclass(slots=True)
class Bench:
    """A gateway, a provider double, and the rows as they come."""

    at: Gateway
    provider: Provider
    options: Options
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def connection(self, body: bytes | None = None) -> Connection:
        """A new one to the gateway."""
        return Connection(f"{self.at.http}/v1/chat/completions", body or question(SIMULATED))

    async def measure(self, load: str, run: Awaitable[Outcome], pids: Mapping[str, int] | None = None) -> Row:
        """Run it and keep its row: latency, rate, CPU and memory of these processes, by default the gateway's."""
        pids = dict(self.at.pids if pids is None else pids)
        before, own, begin_ms = cpu_s(pids), time.process_time(), _now_ms()
        async with watched(pids, every_s=0.5) as memory:
            outcome = await run
        own, after = time.process_time() - own, cpu_s(pids)
        requests = max(1, len(outcome.latencies_ms))
        row = Row(
            load,
            outcome.percentile(0.5),
            outcome.percentile(0.95),
            outcome.percentile(0.99),
            outcome.rate,
            outcome.errors,
            {name: 1000 * (after[name] - before[name]) / requests for name in pids},
            1000 * own / requests,
            {name: (memory[0][name], memory[len(memory) // 2][name], memory[-1][name]) for name in pids},
            begin_ms,
            _now_ms(),
        )
        self.rows.append(row)
        return row


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
