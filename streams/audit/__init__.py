"""Audit stage: every record becomes a row in ClickHouse."""
