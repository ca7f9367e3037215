"""What is wrong in a request is named by its field, without the terms of the library that checked it."""

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from answerback.http.errors import InvalidRequest
from answerback.http.fields import Moment
from answerback.http.plain_words import plain_words


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Moment, "garbage", "must be a time in RFC 3339, such as 2026-01-01T12:00:00Z"),
        (Annotated[list[str], Field(min_length=1)], [], "List should have at least 1 item"),
        (Annotated[list[str], Field(max_length=1)], ["a", "b"], "List should have at most 1 item"),
    ],
)
def test_the_words_are_plain(kind: Any, given: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(given)

    assert plain_words(raised.value.errors()[0]["msg"]) == words


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
