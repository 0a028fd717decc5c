"""Code that the HTTP providers share: requests, streams, errors, usage, rate limits."""
