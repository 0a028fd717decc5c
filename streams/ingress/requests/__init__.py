"""Requests: authenticate, read, build, publish."""
