"""Patches of aiokafka, the client under Faust and under our own Kafka clients.

Importing this package changes nothing. A program calls ``apply()`` once, before it opens its first client;
``connectors.kafka.connection.client_settings`` refuses to configure a client before that. ``PATCHES`` says for each
patch what goes wrong without it and when it can be removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import aiokafka

from connectors.kafka.patches import (
    closed_transport,
    generated_codec,
    record_class,
    refused_token,
    stale_leader,
    tolerant_batches,
)
from schemas.errors import UserError

AIOKAFKA_VERSION = "0.14.0"
"""The only version that the patches were written for and tested with. They replace private names, so that with another
version they could fail, or do harm without an error. ``pyproject.toml`` pins the same version."""
NOT_REPORTED = "not reported yet"


class UnsupportedAiokafkaError(UserError):
    """Another version of aiokafka is installed than the one that the patches were written for."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One change of aiokafka, made at run time."""

    name: str
    """The module in this package."""
    apply: Callable[[], None]
    symptom: str
    """Behaviour without the patch."""
    upstream: str
    """The issue at aiokafka's repository, or ``NOT_REPORTED``."""
    remove_when: str

    @property
    def test(self) -> str:
        """The test's path in the repository."""
        return f"tests/connectors/kafka/patches/test_{self.name}.py"


PATCHES = (
    Patch(
        "closed_transport",
        closed_transport.apply,
        symptom="On uvloop, a write to a closed connection raises `RuntimeError`, which ends the client's metadata"
        " task; the worker then neither commits nor leaves its group.",
        upstream="https://github.com/aio-libs/aiokafka/issues/1038",
        remove_when="`AIOKafkaConnection.send` raises `KafkaConnectionError` on a closed uvloop transport.",
    ),
    Patch(
        "stale_leader",
        stale_leader.apply,
        symptom="A consumer that asks a partition's former leader for an offset repeats the request until its metadata"
        " expires (5 minutes), and fetches nothing else from that broker.",
        upstream=NOT_REPORTED,
        remove_when="a failed ListOffsets request makes the consumer refresh its metadata.",
    ),
    Patch(
        "refused_token",
        refused_token.apply,
        symptom="A rejected OAUTHBEARER token counts as success; the client starts, and fails later for another"
        " reason.",
        upstream=NOT_REPORTED,
        remove_when="the authenticator raises `SaslAuthenticationFailed` on a non-empty challenge.",
    ),
    Patch(
        "tolerant_batches",
        tolerant_batches.apply,
        symptom="One malformed record stops every reader of its partition for good; a small compressed batch can use"
        " all memory.",
        upstream=NOT_REPORTED,
        remove_when="the consumer decodes header names with replacement, skips a batch that it can't parse, and limits"
        " decompressed bytes.",
    ),
    Patch(
        "record_class",
        record_class.apply,
        symptom="Each record is built as aiokafka's class of eleven fields first, then converted to ours: 2.8 us"
        " instead of 1.3 us.",
        upstream=NOT_REPORTED,
        remove_when="the consumer accepts a record class, or building its own costs no more than ours.",
    ),
    Patch(
        "generated_codec",
        generated_codec.apply,
        symptom="Requests and responses are encoded and decoded field by field: 78 us instead of 13 us for a fetch of"
        " 16 partitions.",
        upstream=NOT_REPORTED,
        remove_when="aiokafka encodes and decodes a fetch of 16 partitions in about 13 us.",
    ),
)

_is_applied = False


def apply() -> None:
    """Apply all patches to this process. Later calls do nothing.

    Raises:
        UnsupportedAiokafkaError: aiokafka is not exactly ``AIOKAFKA_VERSION``. Nothing is patched then.

    """
    global _is_applied  # noqa: PLW0603 - a process is patched or not
    if _is_applied:
        return
    if aiokafka.__version__ != AIOKAFKA_VERSION:
        raise UnsupportedAiokafkaError(
            f"aiokafka {aiokafka.__version__} is installed, but this gateway is made for {AIOKAFKA_VERSION}:"
            f" install aiokafka=={AIOKAFKA_VERSION}"
        )
    for patch in PATCHES:
        patch.apply()
    _is_applied = True


def check_applied() -> None:
    """Refuse to go on in a process without the patches.

    Raises:
        RuntimeError: ``apply`` was not called. The program that opens the client must call it first.

    """
    if not _is_applied:
        raise RuntimeError("call connectors.kafka.patches.apply() before opening a Kafka client")
