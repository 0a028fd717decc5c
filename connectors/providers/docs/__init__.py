"""Parameter tables of docs/providers.md, generated from the code."""
