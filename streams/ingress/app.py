"""ASGI application of the ingress: its routes, and the response to an exception."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.events.parts import Failure
from streams.ingress.admission.controller import AdmissionController
from streams.ingress.admission.in_flight import InFlightRequests
from streams.ingress.admission.wait_estimate import WaitEstimator
from streams.ingress.config import IngressConfig
from streams.ingress.endpoints.feedback import FeedbackEndpoint
from streams.ingress.endpoints.inference import IngressContext, OperationEndpoint
from streams.ingress.endpoints.models import ModelsEndpoint
from streams.ingress.endpoints.openapi import document
from streams.ingress.endpoints.probes import Missing, ProbeEndpoints, Readiness
from streams.ingress.endpoints.requests import Lookup, PollingEndpoint
from streams.ingress.endpoints.stream_resume import ResumeEndpoint
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError, internal_error, to_response
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import RequestMiddleware
from streams.ingress.replies.cache import ReplyCache
from streams.ingress.replies.pending import PendingReplies
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.replies.stream_buffer import StreamBuffers
from streams.ingress.requests.authentication import LIVENESS, ApiKeyAuthenticator
from streams.ingress.requests.publisher import FailFastPublisher, RequestPublisher
from streams.ingress.requests.refusal_recorder import RefusalRecorder
from streams.ingress.requests.reply_address import ReplyAddress
from streams.ingress.requests.single_headers import HEADERS, read_headers
from streams.ingress.requests.sticky_partitioner import StickyPartitioner
from streams.ingress.router import FastPathRouter
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator, OpenAITranslator

CHAT: dict[str, ApiTranslator] = {
    "/v1/chat/completions": OpenAITranslator(),
    "/v1/messages": AnthropicTranslator(),
    "/v1/responses": ResponsesTranslator(),
}
"""Translators of the chat APIs, by path. Errors below such a path have that API's format, too."""


class Ingress:
    """The ASGI application. The server delivers replies to it and stops it."""

    def __init__(self, config: IngressConfig, publisher: RequestPublisher, missing: Missing, lookup: Lookup) -> None:
        metrics, authenticator = Metrics(), ApiKeyAuthenticator(config.keys)
        in_flight, partitioner = InFlightRequests(config.max_in_flight), StickyPartitioner()
        self._pending, reply_cache = PendingReplies(config.http.max_waiting), ReplyCache()
        self.wait_estimator = WaitEstimator()
        self._context = IngressContext(
            publisher=FailFastPublisher(publisher),
            topics=config.topics,
            partitions=config.kafka.partitions,
            builder=config.builder,
            address=ReplyAddress(config.topics.ingress_replies.name, config.reply_partitions, partitioner),
            authenticator=authenticator,
            pending=self._pending,
            in_flight=in_flight,
            reply_cache=reply_cache,
            admission=AdmissionController(config.overload, config.max_in_flight, self.wait_estimator, in_flight),
            recorder=RefusalRecorder(publisher, config.topics.outcomes, metrics, config.config_hash),
            metrics=metrics,
            body_limit=config.http.body_limit_bytes,
            streams=StreamBuffers(),
            partitioner=partitioner,
            signatures=config.signatures,
        )
        _observe(metrics, self._pending, reply_cache, self.wait_estimator)
        probes = ProbeEndpoints(Readiness(missing), metrics)

        def check_headers(scope: Scope) -> None:
            headers = scope[HEADERS] = read_headers(scope["headers"])
            authenticator.check_origin(scope["path"], headers)

        others = _others(config, self._context, probes, lookup)
        router = FastPathRouter(_operations(self._context), others, check_headers)
        self._app = RequestMiddleware(router, metrics, error_response)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        await self._app(scope, receive, send)

    def deliver(self, reply: Reply | ReplyChunk) -> None:
        """Deliver a reply, or a chunk before it, from the reply topic."""
        self._context.deliver(reply)

    def abort_all(self) -> None:
        """Answer every waiting caller with 503; their requests continue."""
        self._pending.abort_all()


def _operations(context: IngressContext) -> list[Route]:
    """Return the inference endpoints."""
    chats = {path: OperationEndpoint("chat", context, translator) for path, translator in CHAT.items()}
    endpoints = {**chats, "/v1/embeddings": OperationEndpoint("embeddings", context, OpenAITranslator())}
    return [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]


def _others(config: IngressConfig, context: IngressContext, probes: ProbeEndpoints, lookup: Lookup) -> list[Route]:
    """Return all other endpoints."""
    authenticator = context.authenticator
    polling = PollingEndpoint(authenticator, context.reply_cache, lookup)
    resuming = ResumeEndpoint(authenticator, context.streams)
    feedback = FeedbackEndpoint(authenticator, context.publisher, config.topics.feedback, config.policies)
    models = ModelsEndpoint(authenticator, config.authorizer)
    return [
        Route("/v1/requests/{request_id}", polling.get),
        Route("/v1/requests/{request_id}/stream", resuming.get),
        Route("/v1/feedback", feedback.post, methods=["POST"]),
        Route("/v1/models", models.list),
        Route("/v1/models/{model:path}", models.get),
        Route(LIVENESS, probes.healthz),
        Route("/readyz", probes.readyz),
        Route("/metrics", probes.metrics),
        Route("/openapi.json", document.get),
    ]


def _observe(metrics: Metrics, pending: PendingReplies, reply_cache: ReplyCache, estimator: WaitEstimator) -> None:
    metrics.waiting.set_function(lambda: len(pending))
    metrics.kept.set_function(lambda: reply_cache.bytes)
    metrics.backlog.labels("interactive").set_function(lambda: estimator.waiting)
    metrics.backlog.labels("batch").set_function(lambda: estimator.batch)
    metrics.expected.set_function(lambda: estimator.wait_s)


def error_response(scope: Scope, error: Exception) -> Response:
    """Return the response to an exception, in the format of the API that the path belongs to."""
    path = f"{scope['path']}/"
    translator = next((each for prefix, each in CHAT.items() if path.startswith(f"{prefix}/")), OpenAITranslator())
    return to_response(_api_error(scope["method"], error), translator.from_error)


def _api_error(method: str, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, HTTPException):
        return internal_error("Internal error in the gateway. Its log has the X-Request-Id of this response.")
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's own number
        failure = Failure(
            status=405,
            type=INVALID_REQUEST_ERROR,
            code="method_not_allowed",
            message=f"Method {method} is not allowed for this path.",
        )
        return ApiError(failure, error.headers)
    message = "Unknown path. GET /openapi.json lists all paths."
    return ApiError(Failure(status=404, type=INVALID_REQUEST_ERROR, code="unknown_url", message=message))
