"""Code generation for the hot path."""
