"""Loads of `make bench`, one module for each kind."""
