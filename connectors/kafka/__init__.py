"""All Kafka client use but Faust's: topics, a producer, a reader without a group, and who reads what."""

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
from connectors.kafka.patches import closed_transport, refused_token, stale_leader
from connectors.kafka.patches import generated_codec as compiled_messages
from connectors.kafka.patches import record_class as own_records
from connectors.kafka.patches import tolerant_batches as lenient_records

closed_transport.apply()
compiled_messages.apply()
lenient_records.apply()
own_records.apply()
refused_token.apply()
stale_leader.apply()

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
