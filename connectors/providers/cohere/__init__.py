"""Cohere v2 API."""
