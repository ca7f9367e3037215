"""Receivers: how each origin answers, and what it is owed."""
