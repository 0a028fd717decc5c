"""Waiting for a state: asked again and again until it is there or the time is over."""

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
    """The first truthy answer of ``check``; an AssertionError raised in it means: not yet.

    Raises:
        AssertionError: ``within`` seconds are over.

    """
    deadline = time.monotonic() + within
    while True:
        reason: object
        try:
            answer = check()
            result: T = await answer if inspect.isawaitable(answer) else answer
            if result:
                return result
            reason = f"last answer: {result!r}"
        except AssertionError as error:
            reason = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s; {reason}")
        await asyncio.sleep(every)
