"""Tokens of a call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as counted by the upstream."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
