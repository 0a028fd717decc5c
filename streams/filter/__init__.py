"""Filter stage: parse, authorize and screen a request."""
