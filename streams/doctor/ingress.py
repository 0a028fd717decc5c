"""Looks at what is configured, and at the ingress."""

from __future__ import annotations

import httpx

from streams.config.api_keys import check_binding
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed


async def configuration(settings: Settings) -> str:
    """Whether the gateway may start with it."""
    check_binding(settings)
    return f"{settings.hash}, {authentication(settings)}"


def authentication(settings: Settings) -> str:
    """Who may call."""
    if not settings.keys:
        return "no keys: anyone on this machine may call"
    return f"{len(settings.keys)} key{'s' if len(settings.keys) > 1 else ''}"


async def ingress(settings: Settings) -> str:
    """Whether a request sent now would be answered."""
    url = settings.http.url
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            raise CheckFailed(f"nobody listens at {url}; start it with `sluice up` or `sluice run ingress`") from None
    if answer.status_code != httpx.codes.OK:
        raise CheckFailed(f"{url} is up but not ready: {answer.text}")
    return f"{url} is ready"
