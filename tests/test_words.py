"""The project speaks the field's words: no private term stands in a name, a comment, a message or a page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {".py", ".sql", ".md", ".yaml", ".toml", ".mjs", ".js", ".css", ".html"}
SAY = {
    "doors?": "route",
    "lanes?": "worker pool",
    "abreast|lockstep": "batched",
    "crowds?": "batch, concurrent requests",
    "hints?": "notification",
    "gates?": "circuit breaker, concurrency limit, limiter",
    "suspects?": "quarantined job",
    "doubts?": "unconfirmed claim",
    "kept[ _]responses?": "stored response",
    "keyed[ _]calls?": "request with an Idempotency-Key",
    "replay(?:s|ed|ing)?": "resend, or the stored response",
    "boundar(?:y|ies)": "failpoint",
    "in[ _]a[ _]circle": "deadlock",
    "told|tells?|telling": "say, show, log, report",
    "whoever": "the named thing",
}
"""Private terms, and what to say instead; without those that are private in some senses only (line, once, here)."""

ALLOWED = (
    r"Idempotent-Replayed",  # a header's name, known to clients
    r"\bREPLAYED\b",
    r"/replay\b",  # an alias of the route `resend`, known to clients
    r"\bboundary(?:=|\")",  # of a multipart body
    r"type hints?",
    r"[Ee]arly [Hh]ints",  # the status 103 of HTTP
    r"\bsigning_secret_hint\b",  # a field of OpenAI's
    # Names of the first edition, in CHANGELOG.md.
    r"`(?:hints_awaited|answerback_hints_dropped_total|response_replayed|response_not_kept|replayed)`",
)
TERMS = "|".join(f"(?P<w{n}>{term})" for n, term in enumerate(SAY))
PRIVATE = re.compile(rf"(?<![A-Za-z])(?:{TERMS})(?![A-Za-z])", re.IGNORECASE)
EXEMPT = re.compile("|".join(ALLOWED))
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def pages(place: str) -> Iterator[Path]:
    found = ROOT.glob("*.*") if place == "." else (ROOT / place).rglob("*")
    return (path for path in sorted(found) if path.suffix in PAGES and path != Path(__file__))


def private_words(text: str) -> Iterator[tuple[int, str, str]]:
    """The line, the word, and what to say instead."""
    searched = CAMEL.sub(" ", EXEMPT.sub("", text))
    for match in PRIVATE.finditer(searched):
        instead = list(SAY.values())[int(str(match.lastgroup)[1:])]
        yield searched.count("\n", 0, match.start()) + 1, match[0], instead


@pytest.mark.parametrize("place", [".", "src", "bench", "chaos", "deploy", "docs", "tests"])
def test_no_private_word_stands_in(place: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}, instead of: {instead}"
        for path in pages(place)
        for number, word, instead in private_words(path.read_text(encoding="utf-8"))
    ]

    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("class TheDoor:", "Door"),
        ("hints_dropped = 1", "hints"),
        ("the caller is told why", "told"),
        ("a claim in doubt", "doubt"),
        ("a kept_response", "kept_response"),
    ],
)
def test_a_private_word_is_found_in_prose_and_in_names(text: str, word: str) -> None:
    assert [found for _, found, _ in private_words(text)] == [word]


@pytest.mark.parametrize(
    "text", ["aggregate", "indoors", "Idempotent-Replayed: true", "in line with", "the boundary=x of a body", "planes"]
)
def test_ordinary_english_is_left_alone(text: str) -> None:
    assert list(private_words(text)) == []
