"""Topics, record classes and headers on Kafka."""
