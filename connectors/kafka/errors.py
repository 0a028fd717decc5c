"""What can go wrong between us and Kafka.

::

    KafkaFaultError
    ├── BrokerUnavailableError   nobody answers, or not in time
    │   └── SecurityError        somebody answers, and we do not let each other in
    ├── NoSuchTopicError         the topic, or that partition of it, does not exist
    ├── TopicMismatchError       the topic exists, but not as it has to be
    └── RecordRefusedError       the broker, or its limits, say no to this very record
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
    UnknownError,  # what the client makes of INVALID_RECORD, such as no key for a compacted topic
)
"""What a broker says that will not take this record into that topic, however often it is asked."""


class KafkaFaultError(UserError):
    """Any of these. The message is one sentence that says what to do, without a record's content."""


class BrokerUnavailableError(KafkaFaultError):
    """Kafka does not answer, or did not in time. A record that was being sent may be on the log, or yet get there."""


class SecurityError(BrokerUnavailableError):
    """The encryption, the login or a permission is wrong; the sentence names the setting. Nothing was sent."""


class NoSuchTopicError(KafkaFaultError):
    """The topic does not exist, or has no such partition. Nothing was sent."""


class TopicMismatchError(KafkaFaultError):
    """A topic exists with other partitions or another cleanup than it must have. One sentence for each, by line."""


class RecordRefusedError(KafkaFaultError):
    """The record is too large, or breaks a rule of its topic. Sending it again is useless."""
