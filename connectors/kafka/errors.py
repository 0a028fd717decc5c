"""Error tree of the Kafka connector.

::

    KafkaFaultError
    ├── BrokerUnavailableError   no broker answers, or not in time
    │   └── SecurityError        TLS, login or authorization fails
    ├── NoSuchTopicError         the topic, or that partition of it, does not exist
    ├── TopicMismatchError       a topic exists with another configuration
    └── RecordRefusedError       the broker or a limit refuses this record
"""

from __future__ import annotations

from aiokafka.errors import (
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownError,
)

from schemas.errors import UserError

REFUSALS = (
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownError,  # the client's error for INVALID_RECORD, for example a missing key in a compacted topic
)
"""Errors of a broker that refuses a record for good: sending it again is useless."""


class KafkaFaultError(UserError):
    """Base of all errors of Kafka. The message is one sentence that says what to do, without a record's content."""


class BrokerUnavailableError(KafkaFaultError):
    """Kafka does not answer in time. A record that was being sent may have been written, or may still be."""


class SecurityError(BrokerUnavailableError):
    """Encryption, login or a permission is wrong; the sentence names the setting. Nothing was sent."""


class NoSuchTopicError(KafkaFaultError):
    """The topic does not exist, or has no such partition. Nothing was sent."""


class TopicMismatchError(KafkaFaultError):
    """Topics exist with other partitions, replicas or configuration than configured. One line for each topic."""


class RecordRefusedError(KafkaFaultError):
    """The record is too large, or violates a rule of its topic. Sending it again is useless."""
