"""Splitting of requests that exceed a provider limit, and merging of their answers."""
