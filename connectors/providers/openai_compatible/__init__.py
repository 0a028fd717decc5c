"""OpenAI and the servers that speak its API: Azure OpenAI, vLLM, Ollama, llama.cpp."""
