"""The short way to what nearly all requests ask for: from the door straight to an operation, past the router."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send


class FastPathRouter:
    """An ASGI application: a ``POST`` to an operation's very path goes to it, everything else through the router.

    Args:
        operations: the endpoints of these are ASGI applications.
        others: all the rest.

    """

    def __init__(self, operations: Sequence[Route], others: Sequence[Route]) -> None:
        self._operations: dict[tuple[str | None, str | None], Route] = {("POST", at.path): at for at in operations}
        self.router = Router([*operations, *others], redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on.

        Raises:
            HTTPException: 404, nothing is at this path; 405, but not with this method.

        """
        route = self._operations.get((scope.get("method"), scope.get("path")))  # a lifespan has neither
        if route is None:
            scope["app"] = self  # with one, the router raises what it would answer by itself
            await self.router(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)
