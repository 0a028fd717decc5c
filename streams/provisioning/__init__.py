"""Provisioning of topics, ClickHouse tables and Grafana dashboards."""
