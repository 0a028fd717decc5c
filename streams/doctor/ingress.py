"""Checks of the configuration and of the ingress."""

from __future__ import annotations

import httpx

from streams.config.lint import find_warnings
from streams.config.settings import Settings
from streams.config.start_checks import check_startable
from streams.doctor.finding import CheckFailed, CheckWarning


async def configuration(settings: Settings) -> str:
    """Check that the gateway may start with the configuration, and that it has no doubtful setting."""
    check_startable(settings)
    if warnings := find_warnings(settings):
        raise CheckWarning("\n".join(warnings))
    return f"{settings.hash}, {authentication(settings)}"


def authentication(settings: Settings) -> str:
    """Describe who may call, without secrets."""
    if not settings.keys:
        return "no keys: every caller on this machine is accepted"
    return f"{len(settings.keys)} key{'s' if len(settings.keys) > 1 else ''}"


async def ingress(settings: Settings) -> str:
    """Check that a request sent now would be answered."""
    url = settings.http.url
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        try:
            response = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            raise CheckFailed(
                f"connection refused at {url}; start the ingress with `sluice up` or `sluice run ingress`"
            ) from None
    if response.status_code != httpx.codes.OK:
        raise CheckFailed(f"{url} is not ready: {response.text}")
    return f"{url} is ready"
