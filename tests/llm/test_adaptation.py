"""What an upstream refuses of the service's own additions is left out, once it has said so, and from then on."""

import json
import socket
from typing import Any

import pytest
from scripting import ask, read

from answerback.kernel.heavy import HeavyWork
from answerback.kernel.provider_error import ProviderError
from answerback.llm.adaptation import MOST_MODELS, SETTINGS, Adaptations, Change
from answerback.llm.instructions import IN_PLACE
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

MESSAGES = [{"role": "user", "content": "hi"}]
NO_MAX_TOKENS = {
    "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
    "type": "invalid_request_error",
    "param": "max_tokens",
    "code": "unsupported_parameter",
}
FORBIDDEN = {"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs …"}
NO_STREAM_OPTIONS = [
    (422, {"object": "error", "message": {"detail": [FORBIDDEN]}, "type": "invalid_request_error"}),
    (422, {"detail": [FORBIDDEN]}),
    (400, {"error": {"code": "Invalid input", "status": 422, "message": json.dumps({"detail": [FORBIDDEN]})}}),
    (400, {"error": {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options"}}),
    (400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}}),
    (400, {"error": 'json: unknown field "stream_options"'}),
    (400, {"error": {"message": 'Invalid JSON payload received. Unknown name "streamOptions": Cannot find field.'}}),
    (501, {"error": {"message": "StreamOptions is not implemented"}}),
    (500, {"detail": "create() got an unexpected keyword argument 'stream_options'"}),
    (404, {"error": {"message": "Unknown parameter: 'stream_options'", "param": "stream_options"}}),
    (200, {"error": {"message": "Unrecognized argument: stream_options", "type": "invalid_request_error"}}),
    # Some say nothing.
    (400, b""),
    (400, {"error": {"message": "Bad Request", "code": 400}}),
    (422, {"detail": "Unprocessable Entity"}),
]


def refusal(status: int, body: Any) -> replies.Reply:
    return replies.status(status, body)


def request(model: str = "m", *, stream: bool = False, **fields: Any) -> ChatRequest:
    return ChatRequest({"messages": MESSAGES, "model": model, **fields}, 10, stream=stream)


class TestMaxTokens:
    @pytest.mark.parametrize(
        "said",
        [
            NO_MAX_TOKENS,
            {"message": "this model is not supported MaxTokens, please use MaxCompletionTokens", "code": "BadRequest"},
            {"message": "litellm.UnsupportedParamsError: azure does not support parameters: ['max_tokens']"},
        ],
        ids=["OpenAI", "Azure", "LiteLLM"],
    )
    async def test_a_model_that_refuses_it_gets_its_newer_name_at_once_and_ever_after(
        self, llm: FakeLLM, provider: OpenAICompatible, said: Any
    ) -> None:
        llm.then(refusal(400, {"error": said}))

        for _ in range(2):
            await ask(provider, request(max_tokens=7))

        sent = [{name: call.body.get(name) for name in ("max_tokens", "max_completion_tokens")} for call in llm.calls]
        old, new = {"max_tokens": 7, "max_completion_tokens": None}, {"max_tokens": None, "max_completion_tokens": 7}
        assert sent == [old, new, new]

    async def test_a_second_call_that_hangs_had_the_time_of_both(
        self, llm: FakeLLM, provider: OpenAICompatible
    ) -> None:
        llm.then(refusal(400, {"error": NO_MAX_TOKENS}), replies.hang())
        asked = ChatRequest({"messages": MESSAGES, "model": "m", "max_tokens": 7}, 0.5)

        with pytest.raises(ProviderError, match=r"did not answer within 0\.5 s"):
            await ask(provider, asked)

        assert llm.total == 2

    async def test_another_model_of_the_same_provider_keeps_it(self, llm: FakeLLM, provider: OpenAICompatible) -> None:
        llm.then(refusal(400, {"error": NO_MAX_TOKENS}))
        await ask(provider, request("new", max_tokens=7))

        await ask(provider, request("old", max_tokens=7))

        assert llm.calls[-1].body["max_tokens"] == 7

    async def test_a_value_that_is_refused_is_the_callers(self, llm: FakeLLM, provider: OpenAICompatible) -> None:
        llm.then(refusal(400, {"error": {"message": "max_tokens must be at least 1, got -5", "param": "max_tokens"}}))

        with pytest.raises(ProviderError, match="at least 1"):
            await ask(provider, request(max_tokens=-5))

        assert llm.total == 1

    async def test_what_did_not_help_is_not_remembered(self, llm: FakeLLM, provider: OpenAICompatible) -> None:
        llm.then(refusal(400, {"error": NO_MAX_TOKENS}), replies.status(400))
        with pytest.raises(ProviderError, match="scripted 400"):
            await ask(provider, request(max_tokens=7))

        await ask(provider, request(max_tokens=7))

        assert llm.calls[-1].body["max_tokens"] == 7

    @pytest.mark.parametrize("host", ["api.openai.com", "eu.api.openai.com"])
    async def test_openai_gets_the_newer_name_without_a_refusal(
        self, llm: FakeLLM, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", llm.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        provider = OpenAICompatible(f"http://{host}:{llm.port}/v1", "k", "gpt-5-mini", now=lambda: 0, heavy=HeavyWork())

        await ask(provider, ChatRequest({"messages": MESSAGES, "max_tokens": 512}, 10))
        await ask(provider, request(max_tokens=1, max_completion_tokens=2))
        await provider.close()

        first, both = (call.body for call in llm.calls)
        assert ("max_tokens" in first, first["max_completion_tokens"]) == (False, 512)
        assert (both["max_tokens"], both["max_completion_tokens"]) == (1, 2), "the caller's own choice"


def test_instructions_stay_where_they_are_for_api_openai_com_alone() -> None:
    body = {"messages": [*MESSAGES, {"role": "developer", "content": "Be brief."}]}
    first = {"role": "system", "content": "Be brief."}
    optional = frozenset({IN_PLACE})

    assert Adaptations("api.openai.com").known("m", body, optional) == body
    for host in ("openrouter.ai", "127.0.0.1", None):
        assert Adaptations(host).known("m", body, optional) == {"messages": [first, *MESSAGES]}
        assert Adaptations(host).known("m", body, frozenset()) == body, "the caller's own messages"


class TestStreamOptions:
    @pytest.mark.parametrize("said", [{"message": "输入内容过长"}, {"code": "context_length_exceeded"}], ids=str)
    async def test_a_refusal_with_a_reason_is_the_callers(
        self, llm: FakeLLM, provider: OpenAICompatible, said: Any
    ) -> None:
        llm.then(refusal(400, {"error": said}))

        with pytest.raises(ProviderError):
            await read(provider, request(stream=True))

        assert llm.total == 1

    @pytest.mark.parametrize(("status", "body"), NO_STREAM_OPTIONS)
    async def test_they_are_left_out_once_they_are_refused(
        self, llm: FakeLLM, provider: OpenAICompatible, status: int, body: Any
    ) -> None:
        llm.then(refusal(status, body))

        for _ in range(2):
            chunks = await read(provider, request(stream=True))
            assert "".join(chunk.text for chunk in chunks).startswith("You said")

        assert ["stream_options" in call.body for call in llm.calls] == [True, False, False]

    async def test_a_caller_with_options_of_its_own_reads_the_refusal(
        self, llm: FakeLLM, provider: OpenAICompatible
    ) -> None:
        """Given options that would otherwise switch off the usage of everybody."""
        llm.then(refusal(*NO_STREAM_OPTIONS[3]))

        with pytest.raises(ProviderError, match="stream_options"):
            await read(provider, request(stream=True, stream_options={"include_usage": True, "no_such": 1}))

        await read(provider, request(stream=True))
        assert "stream_options" in llm.calls[-1].body

    async def test_a_refusal_of_something_else_is_asked_once(self, llm: FakeLLM, provider: OpenAICompatible) -> None:
        llm.then(replies.status(400))

        with pytest.raises(ProviderError):
            await read(provider, request(stream=True))

        assert llm.total == 1

    async def test_two_fields_may_be_refused_one_after_the_other(
        self, llm: FakeLLM, provider: OpenAICompatible
    ) -> None:
        llm.then(refusal(*NO_STREAM_OPTIONS[0]), refusal(400, {"error": NO_MAX_TOKENS}))

        await read(provider, request(stream=True, max_tokens=7))

        assert llm.total == 3
        assert llm.calls[-1].body == {
            "messages": MESSAGES,
            "model": "m",
            "stream": True,
            "max_completion_tokens": 7,
        }


async def test_where_the_service_itself_chose_to_stream_a_refusal_to_stream_is_no_end(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """Given OpenAI's organizations that are not verified, and a benchmark."""
    why = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
    llm.then(
        refusal(400, {"error": why}), replies.say("whole"), replies.say("whole again"), refusal(400, {"error": why})
    )
    measured = ChatRequest({"messages": MESSAGES}, 10, stream=True, optional=frozenset({"stream"}))

    texts = ["".join(chunk.text for chunk in await read(provider, measured)) for _ in range(2)]
    with pytest.raises(ProviderError, match="verified"):
        await read(provider, ChatRequest({"messages": MESSAGES}, 10, stream=True))

    assert texts == ["whole", "whole again"]
    assert [call.body.keys() & {"stream", "stream_options"} for call in llm.calls[1:3]] == [set(), set()]
    assert llm.calls[3].streamed, "a caller that asked for a stream reads the refusal"


async def test_a_field_that_the_service_can_do_without_is_guessed_but_not_remembered(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """Given a server that says nothing of what it does not know."""
    llm.then(replies.status(400, {"error": {"message": "no"}}))
    body = {"messages": MESSAGES, "response_format": {"type": "json_object"}}
    review = ChatRequest(body, 10, optional=frozenset({"response_format"}))

    await ask(provider, review)
    await ask(provider, review)

    assert ["response_format" in call.body for call in llm.calls] == [True, False, True]


async def test_a_callers_own_response_format_is_never_left_out(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.status(400, {"error": {"message": "response_format is not supported"}}))

    with pytest.raises(ProviderError, match="response_format"):
        await ask(provider, request(response_format={"type": "json_object"}))

    assert llm.total == 1


def test_however_many_models_are_named_memory_stays_small() -> None:
    adaptations = Adaptations("host")

    for n in range(2 * MOST_MODELS):
        adaptations.learn(f"m{n}", Change("max_tokens", certain=True))

    kept = [
        n
        for n in range(2 * MOST_MODELS)
        if "max_tokens" not in adaptations.known(f"m{n}", {"max_tokens": 1}, frozenset())
    ]
    assert kept == list(range(MOST_MODELS, 2 * MOST_MODELS))


class TestSettings:
    """Fields that clients send with every request, as Codex does."""

    @pytest.mark.parametrize(
        ("field", "status", "body"),
        [
            ("reasoning_effort", 400, {"error": {"message": "property 'reasoning_effort' is unsupported"}}),
            ("verbosity", 400, {"error": {"message": "Unrecognized request argument supplied: verbosity"}}),
            ("parallel_tool_calls", 400, {"error": {"message": 'Unknown name "parallelToolCalls": no such field.'}}),
            ("user", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs"}]}),
        ],
    )
    async def test_one_that_a_model_does_not_know_is_left_out_from_then_on(
        self, llm: FakeLLM, provider: OpenAICompatible, field: str, status: int, body: Any
    ) -> None:
        llm.then(refusal(status, body))
        asked = ChatRequest({"messages": MESSAGES, "model": "m", field: "x"}, 10, optional=SETTINGS)

        replies = [await provider.send(asked) for _ in range(2)]

        assert [field in call.body for call in llm.calls] == [True, False, False]
        assert [reply.left_out for reply in replies] == [{field}] * 2

    async def test_several_may_be_refused_one_after_the_other(self, llm: FakeLLM, provider: OpenAICompatible) -> None:
        llm.then(*(refusal(400, {"error": {"message": f"unknown field {field}"}}) for field in sorted(SETTINGS)))
        asked = ChatRequest({"messages": MESSAGES, "model": "m", **dict.fromkeys(SETTINGS, "x")}, 10, optional=SETTINGS)

        assert (await provider.send(asked)).left_out == SETTINGS

    @pytest.mark.parametrize(
        "said",
        [
            "Unsupported value: 'reasoning_effort' does not support 'minimal'. Supported values are: 'low', 'high'.",
            "reasoning_effort must be one of none, default",
            "no",
        ],
    )
    async def test_a_value_that_is_refused_is_the_callers(
        self, llm: FakeLLM, provider: OpenAICompatible, said: str
    ) -> None:
        llm.then(refusal(400, {"error": {"message": said}}))
        body = {"messages": MESSAGES, "model": "m", "reasoning_effort": "minimal"}

        with pytest.raises(ProviderError, match=said[:10]):
            await provider.send(ChatRequest(body, 10, optional=SETTINGS))

        assert llm.total == 1


class TestThoughts:
    SAID = ({"role": "assistant", "content": "yes", "reasoning_content": "hm"}, *MESSAGES)

    async def test_a_model_that_refuses_them_is_asked_without_at_once_and_ever_after(
        self, llm: FakeLLM, provider: OpenAICompatible
    ) -> None:
        llm.then(
            refusal(422, {"detail": [{"loc": ["body", "messages", 0, "reasoning_content"], "msg": "Extra inputs"}]})
        )
        body = {"messages": list(self.SAID), "model": "m"}

        for _ in range(2):
            await ask(provider, ChatRequest(body, 10, optional=frozenset({"reasoning_content"})))

        assert ["reasoning_content" in call.messages[0] for call in llm.calls] == [True, False, False]
        assert llm.calls[-1].messages[0]["content"] == "yes"

    async def test_a_client_that_sent_them_itself_sees_the_refusal(
        self, llm: FakeLLM, provider: OpenAICompatible
    ) -> None:
        llm.then(refusal(400, {"error": {"message": "reasoning_content is not supported"}}))

        with pytest.raises(ProviderError, match="reasoning_content"):
            await ask(provider, ChatRequest({"messages": list(self.SAID), "model": "m"}, 10))


@pytest.mark.parametrize(("host", "sent"), [("api.openai.com", True), ("openrouter.ai", True), ("api.groq.com", False)])
def test_fields_of_openai_go_to_upstreams_that_take_them(host: str, sent: bool) -> None:
    body = {"messages": MESSAGES, "prompt_cache_key": "k", "service_tier": "flex"}

    known = Adaptations(host).known("m", body, frozenset({"prompt_cache_key", "service_tier"}))

    assert ("prompt_cache_key" in known, "service_tier" in known) == (sent, sent)
    assert Adaptations(host).known("m", body, frozenset()) == body, "what a client asks of chat completions is relayed"
