"""A list of models is read in every envelope that upstreams have for it."""

import pytest

from answerback.http.upstream import status_of
from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import Model
from answerback.llm.model_lists import models_of
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM


@pytest.mark.parametrize(
    "document",
    [
        {"object": "list", "data": [{"id": "a/b"}, {"id": "c"}]},
        [{"id": "a/b"}, {"id": "c"}],
        ["a/b", "c"],
        {"data": ["a/b", "c"]},
        {"data": {"a/b": {}, "c": {"owned_by": "x"}}},
        {"models": {"first": {"id": "a/b"}, "c": {}}},
        [{"id": "a/b"}, {"id": "x" * 257}, {"id": "c"}],
        {"models": [{"name": "a/b"}, {"name": "c"}]},
        {"data": {"models": [{"id": "a/b"}, {"id": "c"}], "total": 2}},
        {"result": [{"name": "a/b"}, {"name": "c"}], "success": True},
        {"endpoints": [{"name": "a/b"}, {"name": "c"}]},
        {"object": "list", "items": [{"model_name": "a/b"}, {"slug": "c"}], "has_more": True},
        {"models": [{"model": "a/b", "name": "A"}, {"model": "c"}]},
        {"total_count": 2, "resources": [{"model_id": "a/b", "label": "A"}, {"model_id": "c"}]},
        {"modelSummaries": [{"modelArn": "arn:c", "modelId": "a/b", "modelName": "A"}, {"modelId": "c"}]},
        {"code": 0, "data": {"list": [{"id": "a/b"}, {"id": None, "name": "c"}]}},
        [{"id": "a/b", "created": "7", "owned_by": None}, None, 7, {}, {"id": ""}, {"id": None}, "text", {"id": "c"}],
    ],
    ids=str,
)
async def test_a_list_is_a_list_in_any_envelope(document: Json, llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.list_reply = replies.status(200, document)

    assert [model.id for model in (await provider.models()).models] == ["a/b", "c"]


def test_a_model_is_named_and_owned_by_what_is_known_of_it() -> None:
    entry = {"id": "v/m", "name": "M", "description": "Good.\0", "created": 7.0, "owned_by": "v-inc"}

    assert models_of([entry, {"id": "v/n"}]) == [
        Model("v/m", "M", "Good.\ufffd", 7, "v-inc"),
        Model("v/n", "v/n", "", 0, "v"),
    ]


@pytest.mark.parametrize(
    "document",
    [{}, {"data": None}, {"data": {}}, {"data": {"message": "no"}}, {"models": "a"}, [{"error": {}}]],
    ids=str,
)
def test_what_holds_no_list_is_none(document: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        models_of(document)

    assert caught.value.failure.code is ErrorCode.UPSTREAM_INVALID


def test_a_list_of_none_may_be_null() -> None:
    assert models_of({"object": "list", "data": None}) == []


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422])
@pytest.mark.parametrize("said", ["no such route", "nothing here", "The API endpoint does not exist"])
async def test_what_refuses_to_list_models_refuses_nothing_of_the_callers(
    status: int, said: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.list_reply = replies.status(status, {"error": {"message": said, "type": "invalid_request_error"}})

    with pytest.raises(ProviderError) as raised:
        await provider.models()

    error = raised.value
    assert (status_of(error), error.failure.upstream_code, error.reason) == (502, None, said)
    assert error.failure.message.startswith(f"the upstream has nothing at this path ({status})")
    assert "/v1" in error.failure.message
