"""API translators: the formats of several APIs, each translated to and from chat completions."""
