"""Avro schemas of the events, generated from their classes by ``python -m schemas.avro``, and the codec."""
