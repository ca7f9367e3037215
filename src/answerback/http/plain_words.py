"""What Pydantic says of a field, in plain words."""

import re

_ITS_OWN = re.compile(r"^Value error, | after validation, not \d+$")
"""What it puts around the words of a check, and how it counts."""


def plain_words(words: str) -> str:
    return _ITS_OWN.sub("", words)
