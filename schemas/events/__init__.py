"""Event classes: the facts on the log."""
