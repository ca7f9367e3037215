"""A review: files to be judged, and what an LLM says of them."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from answerback.kernel.json import Json, in_text

LONGEST_ERROR = 2_000

MAX_FILES = 50
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_TOTAL_BYTES = 50 * 1024 * 1024
"""Of all files that one attempt at a review fetches."""
MAX_PAGES = 200
"""The most pages of one PDF."""
MAX_CHARS = 400_000
"""The most characters of one file, and of all together: about a hundred thousand tokens, more than most models take."""

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What models of DeepSeek and Qwen think first, where their server leaves it in the text."""

_FENCED = re.compile(r"```[a-zA-Z0-9_-]*[^\S\n]*+\n(.*?)```", re.DOTALL)
"""One line break alone ends its first line: models fall into writing them without end, and each would be a new try."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file by its URL. `pages` are 1-based, in the order to be read; None means all."""

    url: str
    pages: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A review as its client requested it. `metadata` travels to the LLM."""

    submission_id: str
    file_refs: tuple[FileRef, ...]
    student_id: str | None = None
    metadata: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The review of an LLM that answers by webhook; `result` is that LLM's own object, whatever it holds."""

    result: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class NotReviewed:
    """The failure of an LLM that answers by webhook; `error` is that LLM's own text, meant for the caller."""

    error: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A chat model's review: a score from 0 to 1, and words that are never blank."""

    score: float
    feedback: str


@dataclass(frozen=True, slots=True)
class File:
    """A referenced file as it came. `media_type` is what its server calls it, in lower case, without parameters; empty
    where it does not say."""

    data: bytes
    media_type: str
    charset: str


def not_reviewed(error: str | None) -> NotReviewed:
    """An LLM's failure in a form that can be stored: never blank, bounded, with U+FFFD for NULs, as `storable`."""
    said = (error or "").strip(f"\0{string.whitespace}").replace("\0", "\ufffd")
    return NotReviewed(said[:LONGEST_ERROR] or "the LLM reported a failure and did not say why")


def verdict(text: str) -> Verdict:
    """Reads a chat model's answer: a JSON object, alone, in a code fence, or with words or thoughts around it.

    Raises ValueError unless it is `{"score": 0..1, "feedback": text}`; other fields are left out.
    """
    document = _object(_THOUGHT.sub("", text))
    score, feedback = document.get("score"), document.get("feedback")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError("its score is not a number from 0 to 1")
    if not isinstance(feedback, str) or not feedback.strip():
        raise ValueError("its feedback is not a text")
    return Verdict(float(score), feedback)


def _object(text: str) -> dict[str, Json]:
    fenced = _FENCED.search(text)
    bare = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, fenced[1] if fenced else "", bare):
        if isinstance(document := in_text(candidate), dict):
            return document
    raise ValueError("it is not a JSON object")
