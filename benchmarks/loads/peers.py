"""Comparison in one run: the provider called directly, through Sluice, and through other gateways."""

from __future__ import annotations

from benchmarks.bench import Bench, Peer, Row, chat_body
from benchmarks.connection import Connection
from benchmarks.load import closed_loop

IN_FLIGHT = (1, 100)
WARM_S = 2.0


async def compare(bench: Bench) -> None:
    """Measure the direct call, Sluice and every peer, with 1 and with 100 in flight."""
    for in_flight in IN_FLIGHT:
        url = f"{bench.provider.url}/chat/completions"
        direct = await _row(bench, "direct", Connection(url, chat_body("echo")), in_flight, {})
        ours = Connection(f"{bench.gateway.http}/v1/chat/completions", chat_body("double/echo"))
        (await _row(bench, "Sluice", ours, in_flight, bench.gateway.pids)).compare_with(direct)
        for peer in bench.options.peers:
            pids = {} if peer.pid is None else {peer.name: peer.pid}
            (await _row(bench, peer.name, connect_peer(bench, peer), in_flight, pids)).compare_with(direct)


def connect_peer(bench: Bench, peer: Peer) -> Connection:
    """Return a connection to a peer, with its model and headers."""
    return Connection(peer.url, chat_body(bench.options.peer_model), bench.options.peer_headers)


async def _row(bench: Bench, name: str, connection: Connection, in_flight: int, pids: dict[str, int]) -> Row:
    """Warm up, then measure."""
    await closed_loop(connection.clone, in_flight, min(WARM_S, bench.options.seconds))
    load = closed_loop(connection.clone, in_flight, bench.options.seconds)
    return await bench.measure(f"{name}, provider over HTTP, {in_flight} in flight", load, pids)
