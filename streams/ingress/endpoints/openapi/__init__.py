"""OpenAPI document of the ingress."""
