"""Ids of responses and of their items. A response's has the digits of its job's, an item's those of its response and
its place: each is found by the key of one row."""

import re
from typing import NamedTuple

RESPONSE, JOB = "resp_", "job_"
CONVERSATION, ENTRY = "conv_", "items_"
"""An entry holds items that a client added to a conversation by itself."""
SESSION_LENGTH = 128
"""The longest `session_id` of the relay."""
INPUT, OUTPUT = "i", "o"
"""Which list of the response an item's place counts in."""

_DIGITS = re.compile(r"[0-9a-f]{32}")
_CONVERSATION = re.compile(r"conv_[0-9a-f]{32}")
_ITEM = re.compile(r"[a-z]{2,4}_([0-9a-f]{32})([io])([0-9]{1,7})")

PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "function_call_output": "fco",
    "custom_tool_call_output": "cto",
    "reasoning": "rs",
}


def job_id(response_id: str) -> str | None:
    """The id of the response's job; None for what is no id of a response."""
    digits = response_id.removeprefix(RESPONSE)
    return JOB + digits if response_id.startswith(RESPONSE) and _DIGITS.fullmatch(digits) else None


def response_id(job_id: str) -> str:
    return RESPONSE + job_id.removeprefix(JOB)


def is_conversation(given: str) -> bool:
    return _CONVERSATION.fullmatch(given) is not None


def conversation_key(conversation_id: str) -> str:
    """The key of its row. It is longer than a `session_id` may be, and no URL: no session of the relay has it."""
    return conversation_id.ljust(SESSION_LENGTH + 1, ".")


def item_id(response_id: str, kind: str, listed: str, place: int) -> str:
    return f"{PREFIXES.get(kind, 'item')}_{response_id.removeprefix(RESPONSE)}{listed}{place}"


class ItemPlace(NamedTuple):
    """The response of an item, which of its lists, and where in it; in the order of the items."""

    response_id: str
    listed: str
    number: int


def place_of(item_id: str) -> ItemPlace | None:
    """None for what is no id of an item here."""
    match = _ITEM.fullmatch(item_id)
    return None if match is None else ItemPlace(RESPONSE + match[1], match[2], int(match[3]))
