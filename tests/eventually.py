"""Polls a condition until it holds or a deadline passes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(check: Callable[[], Awaitable[T]], within: float = ..., every: float = ...) -> T: ...
@overload
async def eventually(check: Callable[[], T], within: float = ..., every: float = ...) -> T: ...
async def eventually(check: Callable[[], T | Awaitable[T]], within: float = 10.0, every: float = 0.05) -> T:
    """Return the first truthy result of ``check``. An AssertionError raised by it counts as false.

    Raises:
        AssertionError: no truthy result within ``within`` seconds.

    """
    deadline = time.monotonic() + within
    while True:
        reason: object
        try:
            value = check()
            result: T = await value if inspect.isawaitable(value) else value
            if result:
                return result
            reason = f"last result: {result!r}"
        except AssertionError as error:
            reason = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s; {reason}")
        await asyncio.sleep(every)
