"""One benchmark run: the gateway under test, its options, and the measured rows."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from benchmarks.connection import Connection
from benchmarks.gateway import Gateway
from benchmarks.load import Outcome
from benchmarks.processes import cpu_s, sampled_memory
from benchmarks.provider import ProviderAddress

PROMPT = ("The quick brown fox jumps over the lazy dog. " * 23)[:1000]
SIMULATED = "sim/echo"
"""Model that answers immediately, inside the call worker."""
STALLED = "stalled"
"""Alias of a model of the provider double that never answers."""
SLOW = "slow"
"""Alias of a model of the provider double that answers after `--seconds-per-call`."""


def chat_body(model: str, prompt: str = PROMPT, *, stream: bool = False) -> bytes:
    """Return the body of a chat request."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return json.dumps(body | ({"stream": True} if stream else {})).encode()


@dataclass(frozen=True, slots=True)
class Peer:
    """Another gateway, started by the user and configured to call our provider double."""

    name: str
    url: str
    """URL of its chat completions."""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Options from the command line; times in seconds."""

    seconds: float = 15.0
    warm: float = 30.0
    """Warm-up before the first load, because a new broker's JVM is still compiling."""
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
    """Measurements of one load. None: not measured, or not applicable."""

    load: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    rate: float
    errors: Mapping[str, int]
    """Number of each kind of error."""
    cpu_ms: dict[str, float]
    """CPU of each process per answered request."""
    client_cpu_ms: float
    memory_mb: dict[str, tuple[float, float, float]]
    """Resident memory of each process at the start, in the middle and at the end."""
    begin_ms: int
    end_ms: int
    """Milliseconds since the epoch."""
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    """Latency beyond that of the direct call."""
    stored_p99_ms: float | None = None
    """From the final state of a request until ClickHouse shows it."""

    def compare_with(self, direct: Row) -> None:
        """Set the latency added to the direct call."""
        self.added_p50_ms = self.p50_ms - direct.p50_ms
        self.added_p99_ms = self.p99_ms - direct.p99_ms


@dataclass(slots=True)
class Bench:
    """The gateway under test, a provider double, and the rows measured so far."""

    gateway: Gateway
    provider: ProviderAddress
    options: Options
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def connection(self, body: bytes | None = None) -> Connection:
        """Return a new connection to the gateway."""
        return Connection(f"{self.gateway.http}/v1/chat/completions", body or chat_body(SIMULATED))

    async def measure(self, load: str, run: Awaitable[Outcome], pids: Mapping[str, int] | None = None) -> Row:
        """Run a load and add its row, with CPU and memory of these processes (default: the gateway's)."""
        pids = dict(self.gateway.pids if pids is None else pids)
        before, own, begin_ms = cpu_s(pids), time.process_time(), _now_ms()
        async with sampled_memory(pids, every_s=0.5) as memory:
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
