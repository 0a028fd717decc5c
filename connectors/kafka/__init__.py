"""All Kafka client use but Faust's: topics, a producer, a reader without a group, and who reads what."""

from connectors.kafka import (
    closed_transport,
    compiled_messages,
    lenient_records,
    own_records,
    refused_token,
    stale_leader,
)
from connectors.kafka.alteration import alter_topics
from connectors.kafka.backlog import Backlog
from connectors.kafka.connection import Bootstrap, Cluster, client_settings
from connectors.kafka.errors import (
    BrokerUnavailableError,
    KafkaFaultError,
    NoSuchTopicError,
    RecordRefusedError,
    SecurityError,
    TopicMismatchError,
)
from connectors.kafka.groups import Groups, group_assignments, lag
from connectors.kafka.producer import Producer
from connectors.kafka.reader import Reader
from connectors.kafka.topics import check_topics, ensure_topics

closed_transport.mend()
compiled_messages.mend()
lenient_records.mend()
own_records.mend()
refused_token.mend()
stale_leader.mend()

__all__ = [
    "Backlog",
    "Bootstrap",
    "BrokerUnavailableError",
    "Cluster",
    "Groups",
    "KafkaFaultError",
    "NoSuchTopicError",
    "Producer",
    "Reader",
    "RecordRefusedError",
    "SecurityError",
    "TopicMismatchError",
    "alter_topics",
    "check_topics",
    "client_settings",
    "ensure_topics",
    "group_assignments",
    "lag",
]
