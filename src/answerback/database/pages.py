"""Pages by size: rows hold texts of very different lengths, and a page is made whole in memory."""

from collections.abc import Iterable

PAGE_CHARACTERS = 2 * 1024 * 1024
"""Of the texts that a page reads, unless its first row alone has more."""


def fitting(sizes: Iterable[int], most: int) -> int:
    """How many rows of these sizes make a page, one at least, and at most `most`."""
    left = PAGE_CHARACTERS
    count = 0
    for size in sizes:
        left -= size
        if count == most or (count > 0 and left < 0):
            break
        count += 1
    return count
