from __future__ import annotations

import inspect
import ssl

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey
from httpx_aiohttp.transport import AIOHTTP_EXC_MAP

from connectors.http_client import (
    ERROR_TYPE_BY_EXCEPTION,
    TRANSPORT_ERRORS,
    HttpClient,
    NoResponseError,
    to_no_response_error,
)
from schemas.events.vocabulary import ErrorType

EXPECTED: dict[type[Exception], ErrorType] = {
    httpx.ConnectError: "network",
    httpx.ConnectTimeout: "network",
    httpx.ReadError: "network",
    httpx.ProxyError: "network",
    httpx.UnsupportedProtocol: "network",
    httpx.ReadTimeout: "timeout",
    httpx.TimeoutException: "timeout",
}
"""Error type of each exception into which the transport maps those of aiohttp."""


def exceptions_of(module: object) -> list[type[Exception]]:
    classes = (value for _, value in inspect.getmembers(module, inspect.isclass))
    return [value for value in classes if issubclass(value, Exception)]


def test_every_exception_of_the_transport_is_expected() -> None:
    assert set(AIOHTTP_EXC_MAP.values()) == set(EXPECTED)


@pytest.mark.parametrize(
    ("exception", "expected"), EXPECTED.items(), ids=lambda value: getattr(value, "__name__", value)
)
def test_transport_exception_is_caught_and_classified(exception: type[Exception], expected: ErrorType) -> None:
    assert issubclass(exception, TRANSPORT_ERRORS)
    assert to_no_response_error(exception("")).error_type == expected


@pytest.mark.parametrize(
    "exception",
    [kind for kind in exceptions_of(aiohttp) if issubclass(kind, aiohttp.ClientError | OSError)],
    ids=lambda exception: exception.__name__,
)
def test_every_aiohttp_client_exception_is_in_the_table(exception: type[Exception]) -> None:
    assert any(ancestor in ERROR_TYPE_BY_EXCEPTION for ancestor in exception.__mro__)


def test_reset_connection_is_network_not_timeout() -> None:
    error = httpx.ConnectTimeout("")
    error.__cause__ = aiohttp.ServerDisconnectedError()

    assert to_no_response_error(error).error_type == "network"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (aiohttp.SocketTimeoutError(), "timeout"),
        (aiohttp.ConnectionTimeoutError(), "network"),
        (aiohttp.ClientPayloadError(), "network"),
        (ConnectionResetError(), "network"),
        (TimeoutError(), "timeout"),
        (httpx.ReadTimeout(""), "timeout"),
        (httpx.DecodingError(""), "server"),
    ],
)
def test_error_type_separates_timeouts_from_unsent_requests(cause: Exception, expected: str) -> None:
    assert to_no_response_error(cause).error_type == expected


async def test_message_of_a_refused_connection_is_the_reason_without_the_address() -> None:
    client = HttpClient({}, 1)

    with pytest.raises(NoResponseError) as caught:
        await client.post(httpx.URL("http://127.0.0.1:1/v1"), b"{}", timeout_s=5.0)
    await client.close()

    assert str(caught.value) == "connection refused"


def test_message_of_an_unverified_certificate_is_the_reason_without_the_host() -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    key = ConnectionKey(
        "internal.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    )

    error = to_no_response_error(aiohttp.ClientConnectorCertificateError(key, refused))

    assert str(error) == "TLS: self-signed certificate"
