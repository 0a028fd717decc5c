"""AWS Signature Version 4: headers that authenticate the sender, the exact body and path, and the time.

It has no clock: the time is an argument. Source: AWS IAM User Guide, "Create a signed AWS API request".

Pure: the moment comes from outside. Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with a session token if it is temporary."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RequestToSign:
    """The request to sign, exactly as it is sent."""

    method: str
    path: str
    """Percent-encoded once, as it is sent. The signature encodes it a second time, as for every service except S3."""
    query: str
    """As it is sent, without the question mark."""
    headers: Mapping[str, str]
    """Headers to sign, including ``host``."""
    body: bytes


def sign(
    request: RequestToSign, credentials: Credentials, region: str, service: str, now: dt.datetime
) -> dict[str, str]:
    """Return the headers to add to a request.

    Args:
        request: as it is sent.
        credentials: access key of the sender.
        region: for example ``eu-central-1``.
        service: the service's name for signing, which may differ from its host's: ``bedrock``.
        now: time of the signature; AWS refuses one that is more than five minutes old.

    """
    added = {"x-amz-date": now.astimezone(dt.UTC).strftime(TIMESTAMP_FORMAT)}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    headers = {name.lower(): " ".join(value.split()) for name, value in {**request.headers, **added}.items()}
    names = ";".join(sorted(headers))
    scope = f"{added['x-amz-date'][:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical_request(request, headers).encode()).hexdigest()
    text = f"{ALGORITHM}\n{added['x-amz-date']}\n{scope}\n{digest}"
    signature = _hmac(_signing_key(credentials.secret_access_key, scope), text).hex()
    credential = f"Credential={credentials.access_key_id}/{scope}"
    return {**added, "authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"}


def canonical_request(request: RequestToSign, headers: Mapping[str, str]) -> str:
    """Return the canonical form of a request, which both sides hash."""
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    return "\n".join(
        (
            request.method,
            quote(request.path or "/", safe="/-_.~"),
            "&".join(sorted(part if "=" in part else f"{part}=" for part in request.query.split("&") if part)),
            *lines,
            "",
            ";".join(sorted(headers)),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _signing_key(secret: str, scope: str) -> bytes:
    """Derive the signing key, which is valid for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
