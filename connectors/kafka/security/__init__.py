"""Kafka security: TLS, SASL, OAuth, and the diagnosis of a failed login."""
