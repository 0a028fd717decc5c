"""Idempotency of calls: claims, recorded answers, replay."""
