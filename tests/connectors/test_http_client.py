from __future__ import annotations

import inspect

import aiohttp
import httpx
import pytest

from connectors.http_client import ERROR_TYPE_BY_EXCEPTION, no_response


def exceptions_of(module: object) -> list[type[Exception]]:
    classes = (value for _, value in inspect.getmembers(module, inspect.isclass))
    return [value for value in classes if issubclass(value, Exception)]


@pytest.mark.parametrize("exception", exceptions_of(httpx), ids=lambda exception: exception.__name__)
def test_every_exception_of_httpx_is_named_in_the_table(exception: type[Exception]) -> None:
    assert exception in ERROR_TYPE_BY_EXCEPTION


@pytest.mark.parametrize(
    "exception",
    [kind for kind in exceptions_of(aiohttp) if issubclass(kind, aiohttp.ClientError | OSError)],
    ids=lambda exception: exception.__name__,
)
def test_every_exception_of_aiohttps_client_has_an_ancestor_in_the_table(exception: type[Exception]) -> None:
    assert any(ancestor in ERROR_TYPE_BY_EXCEPTION for ancestor in exception.__mro__)


def test_a_reset_connection_is_no_timeout_though_the_transport_says_so() -> None:
    error = httpx.ConnectTimeout("")
    error.__cause__ = aiohttp.ServerDisconnectedError()

    assert no_response(error).error_type == "network"


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
def test_what_may_have_been_done_is_told_apart_from_what_was_not(cause: Exception, expected: str) -> None:
    assert no_response(cause).error_type == expected
