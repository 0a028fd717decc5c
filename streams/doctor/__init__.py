"""Checks of `sluice doctor`."""
