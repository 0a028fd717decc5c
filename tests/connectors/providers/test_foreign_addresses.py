"""Addresses in a caller's request are never visited or resolved by the gateway.

Otherwise an image URL could reach the gateway's internal network and its cloud's metadata service.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import orjson
import pytest

from connectors.providers import KINDS, make_provider, parse_settings
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject
from schemas.openai import bodies as openai
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from tests.connectors.providers.recording import SPOKEN, Recording, offline_provider, recordings, settings_for
from tests.connectors.wire_double import wire

SECRET = b"what only this machine may read"


class Trap:
    """Server that must never be visited."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    async def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()

    def addresses(self, file: Path) -> list[str]:
        """Return URLs of the server, by several host names, and of a file."""
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}", f"[::ffff:127.0.0.1]:{self.port}")
        return [f"http://{host}/a.png" for host in hosts] + [f"https://127.0.0.1:{self.port}/a.png", file.as_uri()]


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made_trap = Trap()
    server = await asyncio.start_server(made_trap.visited, "127.0.0.1", 0)
    made_trap.port = server.sockets[0].getsockname()[1]
    yield made_trap
    server.close()
    await server.wait_closed()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(SECRET)
    return path


def chat(address: str) -> list[JsonObject]:
    """Return bodies that contain an address, each in another place."""
    parts: list[JsonObject] = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "file", "file": {"file_data": address, "filename": "a.png"}},
        {"type": "file", "file": {"file_id": address}},
        {"type": "input_audio", "input_audio": {"data": address, "format": "wav"}},
    ]
    return [{"model": "m", "messages": [{"role": "user", "content": [part]}]} for part in parts]


def call(body: JsonObject) -> ProviderCall:
    return ProviderCall("r1", "chat", "m", body, timeout_s=5.0)


def forbidden(*_: object, **__: object) -> NoReturn:
    raise AssertionError("an address was visited")


@pytest.mark.parametrize("kind", SPOKEN)
def test_request_is_translated_without_socket_or_file(kind: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = offline_provider(kind)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)

    for address in (*Trap().addresses(file), "http://169.254.169.254/latest/meta-data", "ftp://example.org/a"):
        for body in chat(address):
            with contextlib.suppress(ProviderError):
                written = orjson.dumps(provider.to_request(call(body)).body)

                assert SECRET not in written
                assert base64.b64encode(SECRET) not in written


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_call_connects_only_to_the_provider(kind: str, trap: Trap, file: Path) -> None:
    async with wire() as double:
        double.answer(400, {"error": {"message": "no"}})
        provider = make_provider("p", parse_settings(settings_of(kind, double.url.removesuffix("/v1"))))

        for address in trap.addresses(file):
            for body in chat(address):
                with contextlib.suppress(ProviderError):
                    await provider.complete(call(body))
        reached = len(double.requests)
        await provider.close()

    assert trap.visits == 0
    assert not any(SECRET in body or base64.b64encode(SECRET) in body for _, _, body in double.requests)
    assert reached or kind in REFUSES


REFUSES = {"bedrock", "simulated"}
"""Bedrock accepts only bytes, so nothing is sent; the simulated provider sends nothing at all."""


def settings_of(kind: str, base: str) -> JsonObject:
    if kind == "simulated":
        return {"kind": kind}
    any_recording: Recording = next(iter(recordings(kind).values()))
    return settings_for(kind, any_recording, base)


@pytest.mark.parametrize("front", [AnthropicTranslator(), ResponsesTranslator()], ids=["messages", "responses"])
def test_api_translator_passes_an_address_without_visiting_it(
    front: AnthropicTranslator | ResponsesTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    address = "http://169.254.169.254/latest/meta-data"
    picture = {"type": "image", "source": {"type": "url", "url": address}}
    said: JsonObject = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [picture]}]}
    if isinstance(front, ResponsesTranslator):
        said = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": address}]}]}

    written = front.to_chat_request(orjson.dumps(said))

    assert isinstance(written, bytes)
    assert openai.validation_failure("chat", orjson.loads(written)) is None
    assert address.encode() in written
