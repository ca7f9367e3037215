"""What is wrong in a request is named by its field, with what to send instead, and not in the terms of the library that
checked it."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from answerback.http.errors import InvalidRequest
from answerback.http.fields import Moment
from answerback.http.plain_words import plain_words
from answerback.relay.request import PARTS

TEXTS = Annotated[list[str], Field(min_length=1, max_length=1)]
WORD = Annotated[str, Field(min_length=2, max_length=3, pattern="^[a-z]+$")]
COUNT = Annotated[int, Field(ge=1, le=100)]
SHARE = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Moment, "garbage", "must be a time in RFC 3339, such as 2026-01-01T12:00:00Z"),
        (Moment, "2026-13-01T00:00:00Z", "must be a time in RFC 3339, such as 2026-01-01T12:00:00Z"),
        (AwareDatetime, "2026-01-01T00:00:00", "must name its time zone, such as 2026-01-01T12:00:00Z"),
        (TEXTS, [], "must have at least 1 item"),
        (TEXTS, ["a", "b"], "must have at most 1 item"),
        (TEXTS, "ab", "must be a list"),
        (WORD, "a", "must have at least 2 characters"),
        (WORD, "abcd", "must have at most 3 characters"),
        (WORD, "A1", "must match ^[a-z]+$"),
        (WORD, 5, "must be a string"),
        (COUNT, 0, "must be at least 1"),
        (COUNT, 101, "must be at most 100"),
        (COUNT, "many", "must be a whole number"),
        (COUNT, 1.5, "must be a whole number"),
        (SHARE, 0, "must be more than 0"),
        (SHARE, 1, "must be less than 1"),
        (SHARE, "nan", "must be a finite number"),
        (SHARE, "half", "must be a number"),
        (bool, "perhaps", "must be true or false"),
        (dict[str, str], [], "must be an object"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
    ],
)
def test_the_words_are_plain(kind: Any, given: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(given)

    assert plain_words(raised.value.errors()[0]) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "audio"}, "must have one of these as its 'type': 'text', 'image_url'"),
        ({}, "must have a 'type'"),
        ({"type": "text"}, "must be given"),
        ("text", "must be an object"),
    ],
)
def test_the_words_about_parts_are_plain(part: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        PARTS.validate_python([part])

    assert plain_words(raised.value.errors()[0]) == words


@pytest.mark.parametrize(
    ("loc", "message"),
    [
        (["query", "before"], "before: must be given"),
        (["body", "message", 1, "text"], "message.1.text: must be given"),
        (["body"], "body: must be given"),
    ],
)
def test_a_field_is_named_without_where_it_stood(loc: list[Any], message: str) -> None:
    assert InvalidRequest([{"type": "missing", "loc": loc, "msg": "must be given"}]).message == message
