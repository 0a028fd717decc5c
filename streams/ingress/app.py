"""Puts the ingress together: which path leads to what, and how an exception is told."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.events.parts import Failure
from streams.config.settings import Settings
from streams.ingress.admission.controller import Admission
from streams.ingress.admission.in_flight import UnderWay
from streams.ingress.admission.wait_estimate import Pressure
from streams.ingress.endpoints.feedback import FeedbackEndpoint
from streams.ingress.endpoints.inference import Desk, OperationEndpoint
from streams.ingress.endpoints.models import ModelsEndpoint
from streams.ingress.endpoints.openapi import document
from streams.ingress.endpoints.probes import Missing, ProbeEndpoints, Readiness
from streams.ingress.endpoints.requests import Lookup, PollingEndpoint
from streams.ingress.endpoints.stream_resume import ResumeEndpoint
from streams.ingress.errors import OURS, THEIRS, RefusedError, response
from streams.ingress.metrics import Metrics
from streams.ingress.middleware import Door
from streams.ingress.replies.cache import Answers
from streams.ingress.replies.pending import Waiters
from streams.ingress.replies.reader import Piece, Reply
from streams.ingress.replies.stream_buffer import Streams
from streams.ingress.requests.authentication import Keyring
from streams.ingress.requests.builder import ReplyAddress, own_partitions
from streams.ingress.requests.publisher import Guarded, Log
from streams.ingress.requests.refusal_recorder import Recorder
from streams.ingress.requests.sticky_partitioner import Turns
from streams.ingress.router import Shortcut
from streams.ingress.translators.anthropic.translator import AnthropicFront
from streams.ingress.translators.responses.translator import ResponsesFront
from streams.ingress.translators.translator import Front, OpenAIFront

CHAT: dict[str, Front] = {
    "/v1/chat/completions": OpenAIFront(),
    "/v1/messages": AnthropicFront(),
    "/v1/responses": ResponsesFront(),
}
"""The APIs of a chat, by path. What stands behind such a path fails in that API's shape, too."""


class Ingress:
    """The ASGI application, with the two things that its surroundings do to it: deliver replies, and stop it."""

    def __init__(self, settings: Settings, log: Log, missing: Missing, lookup: Lookup) -> None:
        topics, metrics, keyring, under_way = settings.topics, Metrics(), Keyring(settings), UnderWay(settings)
        self._waiters, answers = Waiters(settings.http.max_waiting), Answers()
        metrics.waiting.set_function(lambda: len(self._waiters))
        metrics.kept.set_function(lambda: answers.bytes)
        self.pressure = pressure = Pressure()
        metrics.backlog.labels("interactive").set_function(lambda: pressure.waiting)
        metrics.backlog.labels("batch").set_function(lambda: pressure.batch)
        metrics.expected.set_function(lambda: pressure.wait_s)
        turns = Turns()
        self._desk = Desk(
            log=Guarded(log),
            settings=settings,
            address=ReplyAddress(topics.ingress_replies.name, reply_partitions(settings), turns),
            keyring=keyring,
            waiters=self._waiters,
            under_way=under_way,
            answers=answers,
            admission=Admission(settings, pressure, under_way),
            recorder=Recorder(log, topics.outcomes, metrics, settings.hash),
            metrics=metrics,
            body_limit=settings.http.body_limit_bytes,
            streams=Streams(),
            turns=turns,
        )
        feedback = FeedbackEndpoint(keyring, log, settings)
        polling = PollingEndpoint(keyring, answers, lookup)
        resuming = ResumeEndpoint(keyring, self._desk.streams)
        models = ModelsEndpoint(keyring, settings)
        probes = ProbeEndpoints(Readiness(missing), metrics)
        chats = [(path, OperationEndpoint("chat", self._desk, front)) for path, front in CHAT.items()]
        operations = [
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in chats),
            Route("/v1/embeddings", OperationEndpoint("embeddings", self._desk, OpenAIFront()), methods=["POST"]),
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
        self._app = Door(Shortcut(operations, others), metrics, explained)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be an ASGI application."""
        await self._app(scope, receive, send)

    def deliver(self, reply: Reply | Piece) -> None:
        """Take a reply, or a chunk before it, that came off the log."""
        self._desk.deliver(reply)

    def give_up(self) -> None:
        """Answer everybody who still waits with 503; their requests go on."""
        self._waiters.give_up()


def reply_partitions(settings: Settings) -> tuple[int, ...]:
    """The partitions of the reply topic that this instance reads, and names in its requests."""
    return own_partitions(settings.kafka.partitions, settings.http.instance, settings.http.instances)


def explained(scope: Scope, error: Exception) -> Response:
    """The response to a request that ended with an exception, as the API has it that its path belongs to."""
    path = f"{scope['path']}/"
    front = next((front for place, front in CHAT.items() if path.startswith(f"{place}/")), OpenAIFront())
    return response(_refusal(scope["method"], error), front.refusal)


def _refusal(method: str, error: Exception) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if not isinstance(error, HTTPException):
        message = "Something went wrong in this gateway; its log has the X-Request-Id of this response."
        return RefusedError(Failure(status=500, type=OURS, code="internal_error", message=message))
    if error.status_code == 405:  # noqa: PLR2004 - HTTP's own number
        failure = Failure(status=405, type=THEIRS, code="method_not_allowed", message=f"Not with {method}.")
        return RefusedError(failure, error.headers)
    message = "There is nothing at this path; docs/http.md lists what there is."
    return RefusedError(Failure(status=404, type=THEIRS, code="unknown_url", message=message))
