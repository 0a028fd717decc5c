from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.streams.ingress.gateway import Gateway, running


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """An open one, with the defaults."""
    async with running() as made:
        yield made
