"""Kafka connector: topics and groups, a producer, and readers without a group. Faust's driver is not here.

A program calls ``connectors.kafka.patches.apply()`` before it opens a client.
"""

from connectors.kafka.admin.groups import Groups, group_assignments, lag
from connectors.kafka.admin.lag import BacklogReader
from connectors.kafka.admin.topic_changes import alter_topics
from connectors.kafka.admin.topics import check_topics, ensure_topics
from connectors.kafka.clients.producer import KafkaProducer
from connectors.kafka.clients.reader import PartitionReader
from connectors.kafka.connection import KafkaAddress, SecuredKafka, client_settings
from connectors.kafka.errors import (
    BrokerUnavailableError,
    KafkaFaultError,
    NoSuchTopicError,
    RecordRefusedError,
    SecurityError,
    TopicMismatchError,
)

__all__ = [
    "BacklogReader",
    "BrokerUnavailableError",
    "Groups",
    "KafkaAddress",
    "KafkaFaultError",
    "KafkaProducer",
    "NoSuchTopicError",
    "PartitionReader",
    "RecordRefusedError",
    "SecuredKafka",
    "SecurityError",
    "TopicMismatchError",
    "alter_topics",
    "check_topics",
    "client_settings",
    "ensure_topics",
    "group_assignments",
    "lag",
]
