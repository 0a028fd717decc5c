"""Router with a fast path: a ``POST`` to an inference endpoint skips Starlette's routing.

An inference endpoint checks the headers itself, because it records its refusals. For every other request, to an
unknown path too, they are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send


class FastPathRouter:
    """ASGI application that finds an inference endpoint by its exact path, and all others through Starlette.

    Args:
        operations: routes whose endpoints are ASGI applications.
        others: all other routes.
        check: checks the headers of a request to the others, and adds them to its scope.

    """

    def __init__(self, operations: Sequence[Route], others: Sequence[Route], check: Callable[[Scope], None]) -> None:
        self._operations: dict[tuple[str | None, str | None], Route] = {("POST", at.path): at for at in operations}
        self.router = Router([*operations, *others], redirect_slashes=False)
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request.

        Raises:
            HTTPException: 404, unknown path; 405, the path does not support this method.
            ApiError: the headers are refused.

        """
        route = self._operations.get((scope.get("method"), scope.get("path")))  # a lifespan has neither
        if route is None:
            if scope["type"] == "http":
                self._check(scope)
            scope["app"] = self  # with an app, the router raises its errors instead of answering
            await self.router(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)
