"""Identifiers: a prefix that says what it names, and a UUIDv7 so that newer ones sort later."""

import random

EVERY_TENANT = "*"
"""Stands for the id of a tenant where what all have is listed."""


def new_id(prefix: str, now_ms: int) -> str:
    """`prefix` + 32 hex digits of a UUIDv7 (RFC 9562, section 5.7) of the given epoch milliseconds."""
    # Not from the system's source: that call hands the interpreter to another thread and waits. No id is a secret.
    value = (now_ms & (1 << 48) - 1) << 80 | random.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}{value:032x}"
