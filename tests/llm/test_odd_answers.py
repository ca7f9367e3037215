"""Answers in shapes that are odd but harmless: they have been paid for, and are taken."""

import json

import pytest
from scripting import ask, read

from answerback.kernel.errors import ErrorCode
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.provider import send_whole
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

WHOLE = ChatRequest({"messages": []}, 5)
STREAMED = ChatRequest({"messages": []}, 5, stream=True)
NO_ERRORS: list[Json] = [
    {"code": 0, "message": ""},
    {"code": 0, "message": "success"},
    {"code": "200", "message": "OK", "details": []},
    {"code": None, "message": None, "param": None, "type": None},
    [],
    [{}],
    "None",
    False,
]


def piece(delta: dict[str, Json], finish: str | None = None, **fields: Json) -> dict[str, Json]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields}


def sse(*documents: Json) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in documents) + b"data: [DONE]\n\n"


def completion(**fields: Json) -> dict[str, Json]:
    message = {"role": "assistant", "content": "Hello"}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


async def text_of(provider: OpenAICompatible) -> str:
    return "".join(chunk.text for chunk in await read(provider, STREAMED))


@pytest.mark.parametrize(
    "events",
    [
        [[piece({"content": "Hel"})], [piece({"content": "lo"})], [piece({}, "stop")]],
        [[piece({"content": "Hel"}), piece({"content": "lo"})], piece({}, "stop")],
        [[completion()]],
    ],
    ids=["each", "several", "whole"],
)
async def test_a_list_around_chunks_is_looked_into(
    events: list[Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(*[replies.stream(sse(*events))] * 2)

    chunks = await read(provider, STREAMED)

    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert all(isinstance(json.loads(chunk.data), dict) for chunk in chunks)
    assert (await ask(provider, WHOLE)).text == "Hello"


@pytest.mark.parametrize("delta", [{}, None], ids=str)
async def test_a_message_that_repeats_its_pieces_at_the_end_is_not_said_twice(
    delta: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    last = completion()
    last["choices"][0]["delta"] = delta
    llm.then(*[replies.stream(sse(piece({"content": "Hel"}), piece({"content": "lo"}), last))] * 2)

    assert await text_of(provider) == "Hello"
    assert (await ask(provider, WHOLE)).text == "Hello"


async def test_a_message_behind_its_thoughts_is_taken(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(*[replies.stream(sse(piece({"reasoning": "hm"}), completion()))] * 2)

    assert await text_of(provider) == "Hello"
    assert (await ask(provider, WHOLE)).text == "Hello"


async def test_an_error_in_a_list_is_one(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.stream(sse([{"error": {"code": 503, "message": "scripted"}}])))

    with pytest.raises(ProviderError) as failure:
        await text_of(provider)

    assert failure.value.http_status == 503


@pytest.mark.parametrize("error", NO_ERRORS, ids=str)
async def test_an_error_that_says_that_there_is_none_is_left_out(
    error: Json, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    body = completion(error=error)
    body["choices"][0]["error"] = error
    stream = sse(piece({"content": "Hello"}, error=error), piece({}, "stop", error=error))
    llm.then(replies.raw(json.dumps(body).encode()), replies.stream(stream), replies.stream(sse(body)))

    sent = json.loads((await send_whole(provider, WHOLE)).body)

    assert not sent.get("error")
    for _ in range(2):
        chunks = await read(provider, STREAMED)
        assert "".join(chunk.text for chunk in chunks) == "Hello"
        assert not any(json.loads(chunk.data).get("error") for chunk in chunks)


@pytest.mark.parametrize(
    "error", [{"code": 0, "message": "overloaded"}, {"code": 500, "message": ""}, "failed", True, 1], ids=str
)
async def test_an_error_that_says_anything_is_one(error: Json, llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.completion(error=error), replies.stream(sse(piece({"content": "Hello"}, "stop", error=error))))

    for request in (WHOLE, STREAMED):
        with pytest.raises(ProviderError):
            await provider.send(request)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\ud83d", "\ude00b"], "a\U0001f600b"),
        (["\ud83d", "", "\ude00\ud83d", "\ude01"], "\U0001f600\U0001f601"),
        (["\ud83d", "b"], "\ufffdb"),
        (["\ude00", "\ud83d"], "\ufffd\ufffd"),
    ],
    ids=ascii,
)
async def test_a_character_may_be_parted_by_chunks(
    pieces: list[str], text: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(*[replies.stream(sse(*(piece({"content": each}) for each in pieces), piece({}, "stop")))] * 2)

    assert await text_of(provider) == text
    assert (await ask(provider, WHOLE)).text == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
async def test_json_in_another_unicode_is_read_and_sent_on_in_utf8(
    encoding: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    body = json.dumps(completion(x_own="h\u00e9"), ensure_ascii=False).encode(encoding)
    llm.then(replies.raw(body), replies.raw(body))

    assert json.loads((await send_whole(provider, WHOLE)).body.decode())["x_own"] == "h\u00e9"
    assert await text_of(provider) == "Hello"


LATIN = ("iso-8859-1", "ISO-8859-1", "latin-1", "windows-1252", '"iso-8859-1"')


@pytest.mark.parametrize("charset", LATIN)
@pytest.mark.parametrize("stream", [False, True])
async def test_json_in_latin_1_is_read_as_it_is_labelled(
    charset: str, stream: bool, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """Given a body as labelled, and one in UTF-8 under the same label, as servers do that label whatever they send."""
    headers = {"Content-Type": f"application/json; charset={charset}"}
    body = json.dumps(completion(), ensure_ascii=False).replace("Hello", "Gr\u00fc\u00dfe")
    llm.then(replies.raw(body.encode("latin-1"), headers), replies.raw(body.encode(), headers))

    for _ in range(2):
        if stream:
            assert await text_of(provider) == "Gr\u00fc\u00dfe"
        else:
            assert (await ask(provider, WHOLE)).text == "Gr\u00fc\u00dfe"


async def test_no_upstream_names_a_codec_that_costs_more_than_its_text(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    body = json.dumps(completion())
    llm.then(replies.raw(body.encode(), {"Content-Type": "application/json; charset=punycode"}))

    assert (await ask(provider, WHOLE)).text == "Hello"


async def test_a_word_for_a_number_within_a_text_is_text(llm: FakeLLM, provider: OpenAICompatible) -> None:
    said = b'{"choices": [{"message": {"content": "\\"a\\": nan, [inf]"}, "finish_reason": "stop"}], "x": nan}'
    llm.then(replies.raw(said))

    assert (await ask(provider, WHOLE)).text == '"a": nan, [inf]'


@pytest.mark.parametrize("depth", [300, 600, 950, 990, 100_000])
@pytest.mark.parametrize(("begin", "end"), [('{"x":', "}"), ("[", "]")])
async def test_an_answer_nested_without_end_fails_as_an_answer(
    depth: int, begin: str, end: str, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    deep = begin * depth + "1" + end * depth
    calls = f'[{{"function": {{"name": "f", "arguments": {deep}}}}}]'
    said = f'{{"content": "Hi", "x": {deep}, "tool_calls": {calls}}}'
    whole = f'{{"choices": [{{"message": {said}, "finish_reason": "stop"}}]}}'.encode()
    events = b"data: %b\n\n" % whole.replace(b"message", b"delta")
    refusal = f'{{"error": {{"message": "too deep", "x": {deep}}}}}'.encode()
    llm.then(replies.raw(whole), replies.stream(events), replies.raw(events), replies.status(400, refusal))

    for asked in (WHOLE, STREAMED, WHOLE):
        with pytest.raises(ProviderError) as caught:
            await read(provider, asked) if asked is STREAMED else await ask(provider, asked)
        assert caught.value.failure.code is ErrorCode.UPSTREAM_INVALID
    with pytest.raises(ProviderError, match="too deep"):
        await ask(provider, WHOLE)


ENVELOPES: list[dict[str, Json]] = [
    {"code": 200, "msg": "success", "data": None},
    {"code": 0, "message": "", "data": None, "request_id": "r"},
    {"success": True, "errors": [], "messages": [], "result": None},
    {"error": None, "status": "ok", "response": None},
]


def enveloped(envelope: dict[str, Json], held: Json) -> dict[str, Json]:
    return {name: held if name in ("data", "result", "response") else value for name, value in envelope.items()}


@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
async def test_an_envelope_of_a_gateway_is_taken_off(
    envelope: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    whole = replies.raw(json.dumps(enveloped(envelope, completion())).encode())
    pieces = (piece({"content": "Hel"}), piece({"content": "lo"}), piece({}, "stop"))
    llm.then(whole, whole, replies.stream(sse(*(enveloped(envelope, each) for each in pieces))))

    assert (await ask(provider, WHOLE)).text == "Hello"
    assert await text_of(provider) == "Hello"
    assert await text_of(provider) == "Hello"


@pytest.mark.parametrize("trouble", [{"code": 500}, {"success": False}, {"error_code": 17}], ids=str)
async def test_an_envelope_that_says_trouble_is_none(
    trouble: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.raw(json.dumps({**trouble, "msg": "it broke", "data": completion()}).encode()))

    with pytest.raises(ProviderError):
        await ask(provider, WHOLE)


async def test_a_whole_answer_may_have_a_delta_for_its_message(llm: FakeLLM, provider: OpenAICompatible) -> None:
    choice = {"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}
    llm.then(replies.raw(json.dumps({"choices": [choice]}).encode()))

    assert (await ask(provider, WHOLE)).text == "Hello"


@pytest.mark.parametrize(
    ("finish", "code"), [("SAFETY", ErrorCode.UPSTREAM_REFUSED), ("length", ErrorCode.UPSTREAM_EMPTY)]
)
async def test_a_choice_that_was_left_without_a_message_is_final(
    finish: str, code: ErrorCode, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.raw(json.dumps({"choices": [{"index": 0, "finish_reason": finish}]}).encode()))

    with pytest.raises(ProviderError) as caught:
        await ask(provider, WHOLE)

    assert caught.value.failure.code is code
    assert not caught.value.retryable


async def test_an_error_in_what_a_choice_says_is_one(llm: FakeLLM, provider: OpenAICompatible) -> None:
    whole = completion()
    whole["choices"][0]["message"]["error"] = {"message": "it broke"}
    broken = piece({"content": "", "error": {"message": "it broke"}}, "stop")
    llm.then(
        replies.raw(json.dumps(whole).encode()),
        replies.stream(sse(piece({"content": "Hello"}), broken)),
        replies.stream(sse(piece({"content": "Hello", "error": None}, "stop"))),
    )

    for asked in (ask(provider, WHOLE), read(provider, STREAMED)):
        with pytest.raises(ProviderError) as caught:
            await asked
        assert caught.value.failure.code is ErrorCode.UPSTREAM_ERROR
    assert await text_of(provider) == "Hello"


@pytest.mark.parametrize("choices", [{"choices": []}, {}], ids=str)
async def test_a_prompt_that_was_blocked_is_final(
    choices: dict[str, Json], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    blocked = {**choices, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usage": {"prompt_tokens": 7}}
    llm.then(replies.raw(json.dumps(blocked).encode()), replies.stream(sse(blocked)))

    for asked in (ask(provider, WHOLE), read(provider, STREAMED)):
        with pytest.raises(ProviderError, match="content filter") as caught:
            await asked
        assert caught.value.failure.code is ErrorCode.UPSTREAM_REFUSED
        assert not caught.value.retryable
