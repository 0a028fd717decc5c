"""`sluice up`: Kafka, the stages and ClickHouse on one machine."""
