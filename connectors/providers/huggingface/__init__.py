"""Hugging Face: router, TGI, TEI and pipeline servers."""
