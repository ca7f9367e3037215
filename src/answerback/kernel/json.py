"""JSON as Python holds it."""

from typing import Any

Json = Any
"""A decoded JSON value."""
