"""Mistral API."""
