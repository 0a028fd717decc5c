"""Anthropic Messages API to chat completions and back."""
