"""The gateway: stages, their runtime, configuration and commands."""
