"""LLM providers: the chat client, routing, pacing, streams."""
