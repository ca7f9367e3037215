"""Answers: asked for as chat completions, and turned into items and events as they come."""
