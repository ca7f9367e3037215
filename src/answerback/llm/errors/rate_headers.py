"""When a limit that a 429 reports is reset, as headers say it beside, or in place of, a Retry-After."""

import re
from collections.abc import Iterator, Mapping

from answerback.kernel.waits import sane, wait_until

_RESET = re.compile(r"(?:[a-z0-9]+-)*rate-?limit-(?:reset(?:-([a-z-]+))?|([a-z-]+)-reset)")
_LEFT = re.compile(r"(?:[a-z0-9]+-)*rate-?limit-(?:remaining(?:-([a-z-]+))?|([a-z-]+)-remaining)")
LONGEST_NAME = 64
"""In characters. A longer name of a header is no vendor's, and could be searched for a second."""

_ITEM = re.compile(r"(?:^|[,;])\s*(?:reset|t)=([0-9]{1,9})\b")


def reset(value: str, now: int) -> float | None:
    """Seconds until then: a moment in epoch milliseconds (OpenRouter) or seconds (GitHub), seconds from now (Together,
    the IETF's draft), a duration (OpenAI's `6m0s` and `20ms`), or a date (Anthropic). `now` is the wall clock's."""
    return wait_until(value, now)


def resets_of_kinds(headers: Mapping[str, str], now: int) -> float | None:
    """Where requests and tokens have limits of their own (OpenAI, Azure, Groq, Cerebras, Anthropic): until each that
    is used up is reset; until the first one where none says so. The IETF's later draft puts all into one header."""
    named = {name.lower(): value for name, value in headers.items() if len(name) <= LONGEST_NAME}
    used_up = {kind for kind, value in _kinds(_LEFT, named) if value.strip() == "0"}
    waits = [(kind, wait) for kind, value in _kinds(_RESET, named) if (wait := reset(value, now)) is not None]
    awaited = [wait for kind, wait in waits if kind in used_up]
    if awaited or waits:
        return max(awaited) if awaited else min(wait for _, wait in waits)
    item = _ITEM.search(named.get("ratelimit", ""))
    return None if item is None else sane(float(item[1]))


def _kinds(pattern: re.Pattern[str], named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in named.items():
        if found := pattern.fullmatch(name):
            yield found[1] or found[2] or "", value
