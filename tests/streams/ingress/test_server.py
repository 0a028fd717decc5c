"""The ingress behind a real socket; and on a real broker, with two tasks here in place of the stages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import orjson
import pytest
import pytest_asyncio

from connectors.kafka import BrokerUnavailableError, KafkaProducer, PartitionReader
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.avro.codec import decode
from schemas.events.catalog import RequestReceived, RequestSettled
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from streams.app import _servers as start_servers
from streams.composition import ingress_config
from streams.config.deployment import HttpSettings
from streams.config.settings import ConfigurationError, Settings
from streams.ingress import server
from streams.ingress.server import bound, live, serve
from tests.eventually import eventually
from tests.streams.ingress.fake_log import ANSWER, StageAnswer, reply_record
from tests.streams.ingress.gateway import CHAT, Gateway

CHAT_BYTES = orjson.dumps(CHAT)


@dataclass
class Served:
    """A gateway behind a socket."""

    gateway: Gateway
    port: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def say(self, text: bytes) -> bytes:
        """Say this on a connection of one's own, and hear until the gateway closes it or is silent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text)
        heard = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while chunk := await reader.read(65536):
                    heard += chunk
        writer.close()
        return heard


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    gateway = Gateway(Settings.model_validate({"http": {"port": 0, "body_limit_bytes": 1024 * 1024}}))
    with bound(gateway.settings.http) as listener:
        made = Served(gateway, listener.getsockname()[1])
        made.task = asyncio.create_task(live(gateway.ingress, gateway.log, listener, made.stop))
        yield made
        made.stop.set()
        gateway.ingress.abort_all()
        async with asyncio.timeout(10):
            await asyncio.gather(made.task, return_exceptions=True)


async def test_request_over_a_socket_is_answered(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as client:
        response = await client.post("/v1/chat/completions", json=CHAT)

    assert (response.status_code, response.content) == (200, ANSWER)
    assert response.headers["x-request-id"]


async def test_client_with_a_5_mb_body_receives_the_error(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.url) as client:
        response = await client.post("/v1/chat/completions", content=b"x" * 5_000_000)
        after = await client.post("/v1/chat/completions", json=CHAT)

    assert response.json()["error"]["code"] == "request_too_large"
    assert (response.status_code, after.status_code) == (413, 200)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
    ],
)
async def test_invalid_http_is_a_400_and_does_not_affect_others(served: Served, garbage: bytes) -> None:
    heard = await served.say(garbage)

    assert heard.startswith(b"HTTP/1.1 400 "), heard
    assert b"Traceback" not in heard
    assert served.gateway.log.written == []
    assert (await served.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).startswith(
        b"HTTP/1.1 200 "
    )


async def test_disconnected_client_frees_its_slot_and_its_request_continues(served: Served) -> None:
    gateway = served.gateway
    gateway.log.answers = lambda _: None
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
        % (len(CHAT_BYTES), CHAT_BYTES)
    )
    (event,) = await eventually(gateway.log.requests)

    writer.close()

    await eventually(lambda: _waiting(gateway, 0))
    gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])
    await eventually(lambda: _answered(gateway, event.request.request_id))


async def test_stopping_drains_waiting_callers_and_accepts_no_more(served: Served) -> None:
    gateway = served.gateway
    gateway.log.answers = lambda _: None
    async with httpx.AsyncClient(base_url=served.url) as client:
        waiting = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        (event,) = await eventually(gateway.log.requests)

        served.stop.set()

        await eventually(lambda: _refuses(served.port))
        gateway.log.replies.put_nowait([reply_record(event, StageAnswer())])
        assert (await waiting).content == ANSWER
    assert served.task is not None
    await asyncio.wait_for(served.task, 5)


async def test_stopping_answers_callers_after_the_grace_period(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE_S", 0.1)
    served.gateway.log.answers = lambda _: None
    async with httpx.AsyncClient(base_url=served.url) as client:
        waiting = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        await eventually(served.gateway.log.requests)

        served.stop.set()

        response = await waiting
    assert (response.status_code, response.json()["error"]["code"]) == (503, "restarting")


async def test_failure_of_the_reply_consumer_ends_serving_with_its_reason() -> None:
    class Broken:
        async def __aiter__(self) -> AsyncIterator[list[ConsumerRecord]]:
            raise ZeroDivisionError
            yield []

    gateway = Gateway(Settings.model_validate({"http": {"port": 0}}))

    with bound(gateway.settings.http) as listener, pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(live(gateway.ingress, Broken(), listener, asyncio.Event()), 10)


def test_port_in_use_raises_one_sentence_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} \(Address.*SLUICE_HTTP_PORT"),
            bound(HttpSettings(port=port)),
        ):
            pass


async def test_open_gateway_does_not_start_on_a_public_address() -> None:
    settings = Settings.model_validate({"http": {"host": "0.0.0.0", "port": 0}})

    with pytest.raises(ConfigurationError, match="no keys are configured"):
        start_servers(["ingress"], settings, (), asyncio.Event())


async def test_instance_without_reply_partitions_does_not_start() -> None:
    settings = Settings.model_validate({"http": {"instance": 4, "instances": 5}})

    with pytest.raises(ConfigurationError, match="run at most as many instances"):
        await serve(ingress_config(settings), asyncio.Event())


async def test_ingress_does_not_start_without_a_broker(free_port: Callable[[], int]) -> None:
    settings = Settings.model_validate(
        {"kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}"}, "http": {"port": 0}}
    )

    with pytest.raises(BrokerUnavailableError):
        await serve(ingress_config(settings), asyncio.Event())


@dataclass
class OnKafka:
    """The ingress on a real broker, and what its topics hold."""

    settings: Settings
    client: httpx.AsyncClient
    requests: list[RequestReceived] = field(default_factory=list)


@pytest_asyncio.fixture
async def on_kafka(broker: EmbeddedBroker, topics: Topics, free_port: Callable[[], int]) -> AsyncIterator[OnKafka]:
    port = free_port()
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": topics.prefix},
            "http": {"port": port, "body_limit_bytes": 1000},
        }
    )
    stop = asyncio.Event()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        made = OnKafka(settings, client)
        stages = asyncio.create_task(_answer_everything(made))
        serving = asyncio.create_task(serve(ingress_config(settings), stop))
        await eventually(lambda: not _is_free(port), within=20)
        yield made
        stop.set()
        await asyncio.wait_for(serving, 15)
        stages.cancel()


async def _answer_everything(on_kafka: OnKafka) -> None:
    """Stand in for the stages: answer every request with its own body."""
    topics, bootstrap = on_kafka.settings.topics, on_kafka.settings.kafka.bootstrap_servers
    places = [(topics.requests.name, partition) for partition in range(topics.requests.partitions)]
    async with KafkaProducer(bootstrap) as producer, PartitionReader(bootstrap, places, begin="beginning") as reader:
        async for records in reader:
            for event in [decode(record.value or b"") for record in records]:
                assert isinstance(event, RequestReceived)
                on_kafka.requests.append(event)
                reply = reply_record(event, StageAnswer(body=event.body))
                await producer.send(ProducerRecord(reply.topic, reply.key, reply.value, reply.headers, reply.partition))


@pytest.mark.flow
async def test_on_kafka_every_caller_gets_its_own_reply(on_kafka: OnKafka) -> None:
    bodies = [b'{"n": %d}' % number for number in range(50)]

    responses = await asyncio.gather(
        *(on_kafka.client.post("/v1/chat/completions", content=body, timeout=30) for body in bodies)
    )

    assert [response.content for response in responses] == bodies
    assert {response.headers["x-request-id"] for response in responses} == {
        event.request.request_id for event in on_kafka.requests
    }


@pytest.mark.flow
async def test_on_kafka_a_rejection_is_recorded(on_kafka: OnKafka) -> None:
    response = await on_kafka.client.post("/v1/chat/completions", content=b"x" * 2000)

    outcomes, bootstrap = on_kafka.settings.topics.outcomes, on_kafka.settings.kafka.bootstrap_servers
    places = [(outcomes.name, partition) for partition in range(outcomes.partitions)]
    async with PartitionReader(bootstrap, places, begin="beginning") as reader, asyncio.timeout(20):
        record = (await anext(aiter(reader)))[0]
    event = decode(record.value or b"")
    assert isinstance(event, RequestSettled)
    assert event.failure is not None
    assert (response.status_code, event.failure.code) == (413, "request_too_large")
    assert event.request.request_id == response.headers["x-request-id"]


@pytest.mark.flow
async def test_on_kafka_the_ingress_is_not_ready_without_stages(on_kafka: OnKafka) -> None:
    response = await on_kafka.client.get("/readyz", timeout=30)

    assert response.status_code == 503
    assert set(response.json()["partitions_without_worker"]) == {"filter", "route", "call", "reply", "audit"}


async def _waiting(gateway: Gateway, expected: int) -> bool:
    return await gateway.count("sluice_ingress_waiting") == expected


async def _answered(gateway: Gateway, request_id: str) -> bool:
    return bool((await gateway.http.get(f"/v1/requests/{request_id}")).json().get("status") == "answered")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def _refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
