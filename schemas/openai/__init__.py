"""OpenAI API: request bodies, errors, embedding vectors, JSON Schema."""
