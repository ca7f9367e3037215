"""The fenced blocks of a Markdown page, and whether what a page shows is what a reader sees.

A `sh` block is a terminal that runs it. A `text` block is what the `sh` block before it prints, where `…` stands for
anything; with a title it is what the terminal that runs the title prints next. Any other block with a title is a file.
A `json` block without one is a body of `POST /webhook`. Blocks without a language are pictures.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?$")
HEADING = re.compile(r"^#+ (.*)$")

VOLATILE = (
    r"(?P<id>\b(?:[a-z]+_)[0-9a-f]{32}\b)",
    r"(?P<hash>\b[0-9a-f]{64}\b)",
    r"(?P<secret>\b(?:whsec_[\w+/=]{20,}|ab_[\w-]{20,}))",
    r"(?P<signature>\bv1,[\w+/=]{20,})",
    r"(?P<file>\b\d{8}T\d{6}Z-[0-9a-f]{8}\b)",
    r"(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3}Z?)",
    r"(?P<clock>\b\d\d:\d\d:\d\d\b)",
    r"(?P<decimal>(?<![\d.])\d+\.\d+(?!\.?\d))",
    r"(?P<epoch>\b1\d{9}\b)",
)
"""What differs each time: the page shows an example of each."""

EXAMPLE = re.compile("|".join((*VOLATILE, r"(?P<lines>^…$)", r"(?P<elided>…)", r"(?P<gap> {3,})")), re.MULTILINE)
LOOSE = {"elided": r".*?", "lines": r"(?:.*\n)*?.*", "gap": r" {2,}"}
"""Ellipses, and the columns of tables, whose width follows what stands in them."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `heading` is the one it stands under."""

    language: str
    title: str | None
    text: str
    heading: str
    line: int


def blocks(page: Path) -> Sequence[Block]:
    return list(_blocks(page.read_text(encoding="utf-8")))


def _blocks(text: str) -> Iterator[Block]:
    heading, opened, lines = "", None, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence is not None:
                opened, lines = (fence, number), []
            elif (found := HEADING.match(line)) is not None:
                heading = found[1]
        elif fence is not None:
            (indent, language, title), at = opened[0].groups(), opened[1]
            body = "".join(f"{each.removeprefix(indent)}\n" for each in lines)
            yield Block(language, title, body, heading, at)
            opened = None
        else:
            lines.append(line)
    assert opened is None, "a block is not closed"


def pattern(shown: str) -> re.Pattern[str]:
    """Matches what a reader may see where the page shows this."""
    parts, at = [], 0
    for example in EXAMPLE.finditer(shown):
        parts.append(re.escape(shown[at : example.start()]))
        kind = str(example.lastgroup)
        parts.append(LOOSE.get(kind) or _unnamed(kind))
        at = example.end()
    parts.append(re.escape(shown[at:]))
    return re.compile("".join(parts))


def _unnamed(kind: str) -> str:
    (source,) = (each for each in VOLATILE if each.startswith(f"(?P<{kind}>"))
    return source.replace(f"(?P<{kind}>", "(?:", 1)
