"""Puts the ingress together: which path leads to what, and how an exception is told."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.events.parts import Failure
from streams.config.settings import Settings
from streams.ingress.admission.controller import AdmissionController
from streams.ingress.admission.in_flight import InFlightRequests
from streams.ingress.admission.wait_estimate import WaitEstimator
from streams.ingress.endpoints.feedback import FeedbackEndpoint
from streams.ingress.endpoints.inference import IngressContext, OperationEndpoint
from streams.ingress.endpoints.models import ModelsEndpoint
from streams.ingress.endpoints.openapi import document
from streams.ingress.endpoints.probes import Missing, ProbeEndpoints, Readiness
from streams.ingress.endpoints.requests import Lookup, PollingEndpoint
from streams.ingress.endpoints.stream_resume import ResumeEndpoint
from streams.ingress.errors import INVALID_REQUEST_ERROR, SERVER_ERROR, ApiError, to_response
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import RequestMiddleware
from streams.ingress.replies.cache import ReplyCache
from streams.ingress.replies.pending import PendingReplies
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.replies.stream_buffer import StreamBuffers
from streams.ingress.requests.authentication import ApiKeyAuthenticator
from streams.ingress.requests.publisher import FailFastPublisher, RequestPublisher
from streams.ingress.requests.refusal_recorder import RefusalRecorder
from streams.ingress.requests.reply_address import ReplyAddress, own_partitions
from streams.ingress.requests.sticky_partitioner import StickyPartitioner
from streams.ingress.router import FastPathRouter
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator, OpenAITranslator
from streams.pipeline.authorization import Authorizer
from streams.pipeline.request_builder import RequestBuilder
from streams.policy.rules import CompiledPolicies

CHAT: dict[str, ApiTranslator] = {
    "/v1/chat/completions": OpenAITranslator(),
    "/v1/messages": AnthropicTranslator(),
    "/v1/responses": ResponsesTranslator(),
}
"""The APIs of a chat, by path. What stands behind such a path fails in that API's shape, too."""


class Ingress:
    """The ASGI application, with the two things that its surroundings do to it: deliver replies, and stop it."""

    def __init__(self, settings: Settings, log: RequestPublisher, missing: Missing, lookup: Lookup) -> None:
        topics, metrics, keyring, under_way = (
            settings.topics,
            Metrics(),
            ApiKeyAuthenticator(settings),
            InFlightRequests(settings),
        )
        self._pending, answers = PendingReplies(settings.http.max_waiting), ReplyCache()
        metrics.waiting.set_function(lambda: len(self._pending))
        metrics.kept.set_function(lambda: answers.bytes)
        self.wait_estimator = pressure = WaitEstimator()
        metrics.backlog.labels("interactive").set_function(lambda: pressure.waiting)
        metrics.backlog.labels("batch").set_function(lambda: pressure.batch)
        metrics.expected.set_function(lambda: pressure.wait_s)
        turns = StickyPartitioner()
        self._context = IngressContext(
            publisher=FailFastPublisher(log),
            settings=settings,
            builder=RequestBuilder(
                settings.tenants, deadline_s=settings.deadline_s, batch_deadline_s=settings.batch_deadline_s
            ),
            address=ReplyAddress(topics.ingress_replies.name, reply_partitions(settings), turns),
            authenticator=keyring,
            pending=self._pending,
            in_flight=under_way,
            reply_cache=answers,
            admission=AdmissionController(settings, pressure, under_way),
            recorder=RefusalRecorder(log, topics.outcomes, metrics, settings.hash),
            metrics=metrics,
            body_limit=settings.http.body_limit_bytes,
            streams=StreamBuffers(),
            partitioner=turns,
        )
        feedback = FeedbackEndpoint(
            keyring, log, topics.feedback, CompiledPolicies(settings.policies, settings.tenants)
        )
        polling = PollingEndpoint(keyring, answers, lookup)
        resuming = ResumeEndpoint(keyring, self._context.streams)
        models = ModelsEndpoint(keyring, Authorizer(settings.tenants, settings.keys, settings.models))
        probes = ProbeEndpoints(Readiness(missing), metrics)
        chats = [(path, OperationEndpoint("chat", self._context, front)) for path, front in CHAT.items()]
        operations = [
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in chats),
            Route(
                "/v1/embeddings", OperationEndpoint("embeddings", self._context, OpenAITranslator()), methods=["POST"]
            ),
        ]
        others = [
            Route("/v1/requests/{request_id}", polling.get),
            Route("/v1/requests/{request_id}/stream", resuming.get),
            Route("/v1/feedback", feedback.post, methods=["POST"]),
            Route("/v1/models", models.list),
            Route("/v1/models/{model:path}", models.get),
            Route("/healthz", probes.healthz),
            Route("/readyz", probes.readyz),
            Route("/metrics", probes.metrics),
            Route("/openapi.json", document.get),
        ]
        self._app = RequestMiddleware(FastPathRouter(operations, others), metrics, error_response)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be an ASGI application."""
        await self._app(scope, receive, send)

    def deliver(self, reply: Reply | ReplyChunk) -> None:
        """Take a reply, or a chunk before it, that came off the log."""
        self._context.deliver(reply)

    def abort_all(self) -> None:
        """Answer everybody who still waits with 503; their requests go on."""
        self._pending.abort_all()


def reply_partitions(settings: Settings) -> tuple[int, ...]:
    """The partitions of the reply topic that this instance reads, and names in its requests."""
    return own_partitions(settings.kafka.partitions, settings.http.instance, settings.http.instances)


def error_response(scope: Scope, error: Exception) -> Response:
    """The response to a request that ended with an exception, as the API has it that its path belongs to."""
    path = f"{scope['path']}/"
    front = next((front for place, front in CHAT.items() if path.startswith(f"{place}/")), OpenAITranslator())
    return to_response(_refusal(scope["method"], error), front.from_error)


def _refusal(method: str, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, HTTPException):
        message = "Something went wrong in this gateway; its log has the X-Request-Id of this response."
        return ApiError(Failure(status=500, type=SERVER_ERROR, code="internal_error", message=message))
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's own number
        failure = Failure(
            status=405, type=INVALID_REQUEST_ERROR, code="method_not_allowed", message=f"Not with {method}."
        )
        return ApiError(failure, error.headers)
    message = "There is nothing at this path; docs/http.md lists what there is."
    return ApiError(Failure(status=404, type=INVALID_REQUEST_ERROR, code="unknown_url", message=message))
