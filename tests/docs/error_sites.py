"""Finds every error response in the source code: each call that creates a ``Failure``, directly or by a function."""

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

ROOT = Path(__file__).parents[2]
STREAM_STATUS = 200
"""Status of a stream that breaks off after its start."""
EXEMPT = {
    "streams.pipeline.failures.to_failure",  # its table is read instead
    "schemas.openai.errors.to_failure",  # the codes in ``_sentence`` are read instead
    "streams.ingress.replies.history._error",  # the code is read from a record
}


class ErrorResponse(NamedTuple):
    """Status, type and code of an error response."""

    status: int
    type: str
    code: str


class Site(NamedTuple):
    """A call in the source code, and the function around it."""

    module: ModuleType
    function: ast.FunctionDef | ast.AsyncFunctionDef | None
    call: ast.Call

    @property
    def name(self) -> str:
        """Dotted name of the function."""
        return f"{self.module.__name__}.{self.function.name if self.function else ''}"

    @property
    def callee(self) -> Any:
        """The called object, if the call uses a plain name."""
        return vars(self.module).get(self.call.func.id) if isinstance(self.call.func, ast.Name) else None

    def value(self, node: ast.expr | None) -> Any:
        """Return the value of an argument that is a literal or a constant of the module."""
        if isinstance(node, ast.Name):
            return vars(self.module).get(node.id)
        return node.value if isinstance(node, ast.Constant) else None

    def arguments(self, of: Callable[..., object]) -> dict[str, ast.expr]:
        """Return the arguments by name."""
        named = {keyword.arg: keyword.value for keyword in self.call.keywords if keyword.arg}
        return dict(inspect.signature(of).bind(*self.call.args, **named).arguments)


def error_responses() -> set[ErrorResponse]:
    """Return all error responses.

    Raises:
        AssertionError: the values of a call can't be determined.

    """
    sites = list(_sites("streams", "schemas"))
    factories: dict[Callable[..., object], Site] = {}
    found = _from_providers() | _from_bodies() | _from_streams()
    for site in (site for site in sites if site.callee is Failure):
        response = _response(site, site.arguments(Failure))
        factory = vars(site.module).get(site.function.name) if site.function else None
        if response is not None:
            found.add(response)
        elif factory is not None and "code" in inspect.signature(factory).parameters:
            factories[factory] = site
        else:
            assert site.name in EXEMPT, site.name
    for site in (site for site in sites if site.callee in factories):
        factory = factories[site.callee]
        given = {name: site.value(node) for name, node in site.arguments(site.callee).items()}
        response = _response(factory, factory.arguments(Failure), given)
        assert response is not None or site.name in EXEMPT, site.name
        found |= {response} if response else set()
    return found


def _response(site: Site, arguments: dict[str, ast.expr], given: dict[str, Any] | None = None) -> ErrorResponse | None:
    values = [
        (given or {}).get(node.id, site.value(node)) if isinstance(node, ast.Name) else site.value(node)
        for node in map(arguments.get, ErrorResponse._fields)
    ]
    return ErrorResponse(*values) if all(isinstance(value, int | str) for value in values) else None


def _from_providers() -> set[ErrorResponse]:
    """Return the errors of providers, and those of parameters that are rejected before a call."""
    found = {ErrorResponse(mapping.status, mapping.type, mapping.code) for mapping in ERROR_MAPPINGS.values()}
    for site in _sites("streams", "connectors"):
        if site.callee is ProviderError and "param" in (arguments := site.arguments(ProviderError)):
            failure = to_failure(site.value(next(iter(arguments.values()))), "", None, param="n")
            found.add(ErrorResponse(failure.status, failure.type, failure.code))
    return found


def _from_bodies() -> set[ErrorResponse]:
    """Return the errors of invalid bodies."""
    tree = ast.parse(inspect.getsource(faults._sentence))
    codes = {
        node.value.elts[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.value.elts[0], ast.Constant)
    }
    return {ErrorResponse(400, "invalid_request_error", str(code)) for code in codes}


def _from_streams() -> set[ErrorResponse]:
    """Return the error in an interrupted stream, which has no status."""
    error = orjson.loads(streaming.INTERRUPTED)["error"]
    return {ErrorResponse(STREAM_STATUS, error["type"], error["code"])}


def _sites(*packages: str) -> Iterator[Site]:
    for path in sorted(path for package in packages for path in (ROOT / package).rglob("*.py")):
        if path.name == "__main__.py":
            continue  # importing it would run it
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        tree = ast.parse(path.read_text("utf-8"))
        functions = {
            inner: node
            for node in ast.walk(tree)  # outer functions come first, so that the inner one wins
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(node)
        }
        yield from (Site(module, functions.get(node), node) for node in ast.walk(tree) if isinstance(node, ast.Call))
