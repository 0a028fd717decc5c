"""Route stage: a model name becomes a plan of targets."""
