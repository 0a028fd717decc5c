"""The Avro schemas, generated from the event classes: ``python -m schemas.avro``."""
