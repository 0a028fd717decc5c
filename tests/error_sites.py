"""Every error that a caller can be told of, read from the code: each place that makes a ``Failure`` or has one made."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import orjson

from connectors.providers.provider import ProviderError
from schemas.events.parts import Failure
from schemas.openai import errors as faults
from streams.ingress.replies import stream_buffer as streaming
from streams.pipeline.failures import ERROR_MAPPINGS, to_failure

ROOT = Path(__file__).parents[1]
IN_A_STREAM = 200
"""The status of a stream that breaks off: it has begun."""
READ_OTHERWISE = {
    "streams.pipeline.failures.to_failure",  # from its table
    "schemas.openai.errors.to_failure",  # from the sentences beside it
    "streams.ingress.replies.history._error",  # the code is another's, read from the record
}


class ErrorResponse(NamedTuple):
    """What a client's code sees of an error."""

    status: int
    type: str
    code: str


class Site(NamedTuple):
    """A call in the code, and the function around it."""

    module: ModuleType
    function: ast.FunctionDef | ast.AsyncFunctionDef | None
    call: ast.Call

    @property
    def place(self) -> str:
        """Where it is."""
        return f"{self.module.__name__}.{self.function.name if self.function else ''}"

    @property
    def callee(self) -> Any:
        """What is called, if it is called by a plain name."""
        return vars(self.module).get(self.call.func.id) if isinstance(self.call.func, ast.Name) else None

    def value(self, node: ast.expr | None) -> Any:
        """What an argument is, if it is written out or the module's own constant."""
        if isinstance(node, ast.Name):
            return vars(self.module).get(node.id)
        return node.value if isinstance(node, ast.Constant) else None

    def arguments(self, of: Callable[..., object]) -> dict[str, ast.expr]:
        """By name."""
        named = {keyword.arg: keyword.value for keyword in self.call.keywords if keyword.arg}
        return dict(inspect.signature(of).bind(*self.call.args, **named).arguments)


def error_responses() -> set[ErrorResponse]:
    """All of them.

    Raises:
        AssertionError: a place makes one in a way that can't be read.

    """
    sites = list(_sites("streams", "schemas"))
    makers: dict[Callable[..., object], Site] = {}
    found = _of_providers() | _of_bodies() | _of_streams()
    for site in (site for site in sites if site.callee is Failure):
        said = _told(site, site.arguments(Failure))
        maker = vars(site.module).get(site.function.name) if site.function else None
        if said is not None:
            found.add(said)
        elif maker is not None and "code" in inspect.signature(maker).parameters:
            makers[maker] = site
        else:
            assert site.place in READ_OTHERWISE, site.place
    for site in (site for site in sites if site.callee in makers):
        made = makers[site.callee]
        given = {name: site.value(node) for name, node in site.arguments(site.callee).items()}
        said = _told(made, made.arguments(Failure), given)
        assert said is not None or site.place in READ_OTHERWISE, site.place
        found |= {said} if said else set()
    return found


def _told(site: Site, arguments: dict[str, ast.expr], given: dict[str, Any] | None = None) -> ErrorResponse | None:
    values = [
        (given or {}).get(node.id, site.value(node)) if isinstance(node, ast.Name) else site.value(node)
        for node in map(arguments.get, ErrorResponse._fields)
    ]
    return ErrorResponse(*values) if all(isinstance(value, int | str) for value in values) else None


def _of_providers() -> set[ErrorResponse]:
    """A provider's own errors, and what is refused in its stead for one parameter."""
    found = {ErrorResponse(telling.status, telling.type, telling.code) for telling in ERROR_MAPPINGS.values()}
    for site in _sites("streams", "connectors"):
        if site.callee is ProviderError and "param" in (arguments := site.arguments(ProviderError)):
            failure = to_failure(site.value(next(iter(arguments.values()))), "", None, param="n")
            found.add(ErrorResponse(failure.status, failure.type, failure.code))
    return found


def _of_bodies() -> set[ErrorResponse]:
    """What may be wrong with a body's shape."""
    tree = ast.parse(inspect.getsource(faults._sentence))
    codes = {
        node.value.elts[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.value.elts[0], ast.Constant)
    }
    return {ErrorResponse(400, "invalid_request_error", str(code)) for code in codes}


def _of_streams() -> set[ErrorResponse]:
    """What stands in a stream that is interrupted, with no place for a status."""
    error = orjson.loads(streaming.INTERRUPTED)["error"]
    return {ErrorResponse(IN_A_STREAM, error["type"], error["code"])}


def _sites(*packages: str) -> Iterator[Site]:
    for path in sorted(path for package in packages for path in (ROOT / package).rglob("*.py")):
        if path.name == "__main__.py":
            continue  # it would run
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        tree = ast.parse(path.read_text("utf-8"))
        functions = {
            inner: node
            for node in ast.walk(tree)  # outer functions come first, so that the inner one stays
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(node)
        }
        yield from (Site(module, functions.get(node), node) for node in ast.walk(tree) if isinstance(node, ast.Call))
