"""The stories of this folder share one LLM and one service a module."""

from serving import headers, http, llm, service, settings

__all__ = ["headers", "http", "llm", "service", "settings"]
