"""Ingress: HTTP requests in, replies out."""
