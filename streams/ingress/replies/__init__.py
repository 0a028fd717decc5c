"""Replies: read from Kafka, match to callers, cache, stream."""
