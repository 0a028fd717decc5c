"""Kafka clients: producer, partition reader, topic follower, history."""
