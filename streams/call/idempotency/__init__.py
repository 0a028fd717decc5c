"""Idempotency of calls: claims, recovery after a crash, recorded answers, replay."""
