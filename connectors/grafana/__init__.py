"""Grafana: folders, data sources, dashboards and alert rules."""
