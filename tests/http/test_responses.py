"""A response is its model: the bytes and the documented schema."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, Field
from pydantic_core import PydanticSerializationError

from answerback.http.responses import Time, plain, respond


class Answer(BaseModel):
    answer: str
    note: str | None = None
    metadata: dict[str, Any] | None = Field(None, exclude_if=lambda value: value is None)


def test_a_model_is_sent_as_utf8_json_with_its_fields_in_order() -> None:
    response = respond(201, Answer(answer="Grüße 🦊"), {"Location": "/v1/jobs/job_1"})

    assert response.status_code == 201
    assert bytes(response.body) == '{"answer":"Grüße 🦊","note":null}'.encode()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["location"] == "/v1/jobs/job_1"


def test_a_field_may_leave_itself_out() -> None:
    assert json.loads(bytes(respond(200, Answer(answer="", metadata={})).body)).keys() == {"answer", "note", "metadata"}


def test_json_of_a_client_comes_back_as_it_was() -> None:
    given: Any = {"float": 1.5, "big": 10**30, "none": None, "list": [True, "\u2028"]}
    for _ in range(150):
        given = {"deeper": given}

    response = respond(200, Answer(answer="", metadata=given))

    assert json.loads(bytes(response.body))["metadata"] == given


def test_text_that_utf8_cannot_express_is_no_response() -> None:
    with pytest.raises(PydanticSerializationError):
        respond(200, Answer(answer="", metadata={"half a pair": "\ud83d"}))


class Moment(BaseModel):
    at: Time
    ended_at: Time | None


def test_times_are_milliseconds_here_and_rfc3339_on_the_wire_and_in_the_document() -> None:
    moment = Moment(at=1_750_000_000_123, ended_at=None)

    assert bytes(respond(200, moment).body) == b'{"at":"2025-06-15T15:06:40.123Z","ended_at":null}'
    assert plain(moment) == moment.model_dump() == {"at": "2025-06-15T15:06:40.123Z", "ended_at": None}
    for mode in ("validation", "serialization"):
        assert Moment.model_json_schema(mode=mode)["properties"]["at"]["format"] == "date-time"  # type: ignore[arg-type]
