"""OpenAI Responses API to chat completions and back."""
