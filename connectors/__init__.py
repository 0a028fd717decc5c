"""Foreign systems: Kafka, ClickHouse, Grafana and the providers. Imports only schemas."""
