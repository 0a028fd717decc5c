"""Call stage: run the plan of a request against the providers."""
