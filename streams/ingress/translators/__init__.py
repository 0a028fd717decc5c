"""The APIs in front: each the shape of a provider's own, all of them the same chat completion behind."""
