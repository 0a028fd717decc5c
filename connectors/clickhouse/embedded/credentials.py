"""Authentication on ClickHouse's port: the credential of a request, and the tenants whose rows it may read."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from starlette.datastructures import Headers, QueryParams

from connectors.clickhouse.embedded.query_guard import QueryError

AUTHENTICATION_FAILED = 516

Readers = Mapping[str, list[str] | None]
"""Tenants that a key may read, by the key's hash ``sha256:<hex>``; None for all tenants."""


def hash_of(credential: str) -> str:
    """Return the form in which a reader's key is compared."""
    return "sha256:" + hashlib.sha256(credential.encode()).hexdigest()


def visible_tenants(readers: Readers | None, headers: Headers, url: QueryParams) -> list[str] | None:
    """Return the tenants that the caller of a request may read; None for all, also if ``readers`` is None.

    The lookup takes the same time for every wrong key: it depends on the hash alone.

    Raises:
        QueryError: the credential is missing or unknown, or the request has two different ones.

    """
    if readers is None:
        return None
    found = _credentials(headers, url)
    if len(found) > 1:
        raise _failure("The request has two different credentials; send one")
    if not found:
        raise _failure("Send an API key with the role analyst, as password or as Authorization: Bearer")
    hashed = hash_of(found.pop())
    if hashed not in readers:
        raise _failure("The key is unknown or does not have the role analyst")
    return readers[hashed]


def _credentials(headers: Headers, url: QueryParams) -> set[str]:
    """Return the different credentials of a request. The user name is ignored, and an empty password is none."""
    found = {*headers.getlist("x-clickhouse-key"), *url.getlist("password")}
    found.update(_authorization_secret(value) for value in headers.getlist("authorization"))
    return found - {""}


def _authorization_secret(header: str) -> str:
    scheme, _, value = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                raise _failure("The header Authorization is not valid") from None
        case "":
            return ""
    raise _failure("The header Authorization must have the scheme Basic or Bearer")


def _failure(reason: str) -> QueryError:
    return QueryError.in_engine_format(
        AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", f"Authentication failed: {reason}"
    )
