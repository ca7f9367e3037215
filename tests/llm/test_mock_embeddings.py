"""The mock's embeddings."""

import base64
import math
import struct

import pytest

from answerback.llm.mock_embeddings import mock_embeddings


def vectors(**body: object) -> list[list[float]]:
    return [each["embedding"] for each in mock_embeddings(body, "mock")["data"]]


def test_the_same_text_has_the_same_vector_and_another_text_another() -> None:
    one, same, other = vectors(input=["parcel", "parcel", "letter"])

    assert one == same != other
    assert math.hypot(*one) == pytest.approx(1)


def test_they_have_as_many_dimensions_as_were_asked_for() -> None:
    assert [len(each) for each in vectors(input="x", dimensions=3)] == [3]


def test_packed_ones_are_the_same_numbers() -> None:
    (packed,) = (
        each["embedding"] for each in mock_embeddings({"input": "x", "encoding_format": "base64"}, "mock")["data"]
    )

    numbers = struct.unpack("<256f", base64.b64decode(packed))

    assert list(numbers) == pytest.approx(vectors(input="x")[0])


@pytest.mark.parametrize(
    ("given", "count"), [("text", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), ({"odd": 1}, 1)]
)
def test_each_input_has_one(given: object, count: int) -> None:
    assert len(vectors(input=given)) == count
