"""Answerback: a durable relay between a service and any LLM."""

__version__ = "0.1.0"
