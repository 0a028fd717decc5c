"""Admission control: overload protection of the ingress."""
