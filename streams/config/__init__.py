"""Configuration: file, environment, validation."""
