"""Kafka administration: topics, groups, lag, replicas."""
