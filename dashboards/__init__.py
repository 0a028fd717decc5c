"""Grafana dashboards and alert rules, as packaged files."""
