from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from streams.ingress.router import FastPathRouter


class Operation:
    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        await send({"type": "operation", "path": scope["path"]})


async def other(http: Request) -> Response:
    return Response(http.path_params["name"])


SHORTCUT = FastPathRouter([Route("/asked", Operation(), methods=["POST"])], [Route("/{name}", other)], lambda _: None)


async def ask(method: str, path: str) -> tuple[Scope, list[Message]]:
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await SHORTCUT(scope, receive, send)
    return scope, sent


async def test_post_to_an_inference_endpoint_skips_routing_and_sets_the_route() -> None:
    scope, sent = await ask("POST", "/asked")

    assert sent == [{"type": "operation", "path": "/asked"}]
    assert scope["route"].path == "/asked"
    assert "router" not in scope


async def test_other_requests_use_the_router() -> None:
    scope, sent = await ask("GET", "/others")

    assert sent[1]["body"] == b"others"
    assert scope["route"].path == "/{name}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/asked", 405), ("POST", "/asked/", 404), ("POST", "/others", 405), ("GET", "/a/b", 404)],
)
async def test_unknown_path_raises_http_exception(method: str, path: str, status: int) -> None:
    with pytest.raises(HTTPException) as caught:
        await ask(method, path)

    assert caught.value.status_code == status
