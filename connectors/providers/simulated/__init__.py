"""Simulated provider: generated answers, latency and failures, no network."""
