"""Router with a fast path: a ``POST`` to an inference endpoint skips Starlette's routing."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send


class FastPathRouter:
    """ASGI application that finds an inference endpoint by its exact path, and all others through Starlette.

    Args:
        operations: routes whose endpoints are ASGI applications.
        others: all other routes.

    """

    def __init__(self, operations: Sequence[Route], others: Sequence[Route]) -> None:
        self._operations: dict[tuple[str | None, str | None], Route] = {("POST", at.path): at for at in operations}
        self.router = Router([*operations, *others], redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request.

        Raises:
            HTTPException: 404, unknown path; 405, the path does not support this method.

        """
        route = self._operations.get((scope.get("method"), scope.get("path")))  # a lifespan has neither
        if route is None:
            scope["app"] = self  # with an app, the router raises its errors instead of answering
            await self.router(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)
