"""Traffic policy per target: circuit breaker, bulkhead, rate limits, wait queue, load balancing."""
