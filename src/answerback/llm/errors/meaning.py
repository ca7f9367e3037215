"""The meanings that an upstream's error can have (a closed set), and the form of the rows that recognise them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from answerback.kernel.provider_error import Concerns

NO_STATUS = 0
"""An error in a 200's body, or in a stream, that names none."""

RETRY_AFTER = "retry-after"
"""A word that stands for the header of that name."""
_SEPARATORS = re.compile(r"[_ -]")


class Meaning(StrEnum):
    """What follows from an error."""

    AUTH = "auth"
    """The account may not: key, permission, region, firewall. Final here; another provider has another account."""
    CREDIT = "credit"
    """The account cannot pay: balance, budget, a quota that no wait refills. As AUTH."""
    LIMITED = "limited"
    """Too many calls or tokens for now: tried again."""
    CAPACITY = "capacity"
    """The upstream has no room: tried again."""
    FAILED = "failed"
    """The upstream broke: tried again."""
    REFUSED = "refused"
    """The request is wrong: final, with the upstream's reason."""
    CONTEXT = "context"
    """The request is too long for the model: final."""
    TOO_LARGE = "too_large"
    """The request is larger than the upstream, or the account's limit a minute, ever takes: final."""
    MODEL = "model"
    """There is no such model there: final for this provider."""
    FILTERED = "filtered"
    """A filter refused the request: final."""
    WRONG_PATH = "wrong_path"
    """Nothing of an LLM is at this address: final for this provider."""


@dataclass(frozen=True, slots=True)
class Row:
    """`source` is where the dialect is documented or seen. An empty field fits everything. `words` are those of codes
    as `plain` writes them, `named` is found in one of them. `asks_wait`: whether the body names a wait. `ours` stands
    in for the meaning's own words, `concerns` for what its code concerns."""

    meaning: Meaning
    source: str
    statuses: frozenset[int] = frozenset()
    words: frozenset[str] = frozenset()
    named: re.Pattern[str] | None = None
    says: re.Pattern[str] | None = None
    asks_wait: bool | None = None
    ours: str = ""
    concerns: Concerns | None = None

    def fits(self, status: int, words: frozenset[str], text: str, *, asks_wait: bool) -> bool:
        return (
            (not self.statuses or status in self.statuses)
            and (not self.words or not self.words.isdisjoint(words))
            and (self.named is None or any(map(self.named.search, words)))
            and (self.asks_wait is None or self.asks_wait is asks_wait)
            and (self.says is None or self.says.search(text) is not None)
        )


def plain(word: str) -> str:
    """A code as all vendors could have written it: `RateLimitExceeded` is `rate_limit_exceeded`."""
    return _SEPARATORS.sub("", word).lower()


def in_parts(words: frozenset[str]) -> frozenset[str]:
    """The words in plain writing, and the parts of those with dots: `FailedOperation.ServiceStop`."""
    whole = frozenset(map(plain, words))
    return whole | {part for each in whole if "." in each for part in each.split(".") if part}


def row(
    meaning: Meaning,
    source: str,
    *,
    statuses: Iterable[int] = (),
    words: str = "",
    named: str = "",
    says: str = "",
    asks_wait: bool | None = None,
    ours: str = "",
    concerns: Concerns | None = None,
) -> Row:
    return Row(
        meaning,
        source,
        frozenset(statuses),
        frozenset(map(plain, words.split())),
        re.compile(named) if named else None,
        re.compile(says, re.IGNORECASE) if says else None,
        asks_wait,
        ours,
        concerns,
    )
