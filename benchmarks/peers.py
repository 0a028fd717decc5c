"""The same load three ways in one run: straight at the provider, through us, and through other gateways."""

from __future__ import annotations

from benchmarks.bench import Bench, Peer, Row, question
from benchmarks.connection import Connection
from benchmarks.load import closed

IN_FLIGHT = (1, 100)
WARM_S = 2.0


async def compared(bench: Bench) -> None:
    """For each of so many in flight: the direct call, ours, and every peer's."""
    for in_flight in IN_FLIGHT:
        url = f"{bench.provider.url}/chat/completions"
        direct = await _row(bench, "direct", Connection(url, question("echo")), in_flight, {})
        ours = Connection(f"{bench.at.http}/v1/chat/completions", question("double/echo"))
        (await _row(bench, "Sluice", ours, in_flight, bench.at.pids)).over(direct)
        for peer in bench.options.peers:
            pids = {} if peer.pid is None else {peer.name: peer.pid}
            (await _row(bench, peer.name, _asking(bench, peer), in_flight, pids)).over(direct)


def _asking(bench: Bench, peer: Peer) -> Connection:
    return Connection(peer.url, question(bench.options.peer_model), bench.options.peer_headers)


async def _row(bench: Bench, who: str, like: Connection, in_flight: int, pids: dict[str, int]) -> Row:
    """Warm, and then measured."""
    await closed(like.again, in_flight, min(WARM_S, bench.options.seconds))
    load = closed(like.again, in_flight, bench.options.seconds)
    return await bench.measure(f"{who}, provider over HTTP, {in_flight} in flight", load, pids)
