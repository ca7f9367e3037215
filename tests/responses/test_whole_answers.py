"""A completion that comes whole makes the same response as one that streams."""

from typing import Any

import pytest

from answerback.kernel.provider_error import ProviderError
from answerback.kernel.usage import Usage
from answerback.llm.model import Chunk
from answerback.llm.reply import WholeReply
from answerback.responses.answers.answer import Answer
from answerback.responses.answers.whole import whole_response
from answerback.responses.body import Start
from answerback.responses.request import asked
from answerback.responses.tools.toolbox import Toolbox

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
TOKEN = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
SOURCE = {"url": "https://a", "title": "A", "start_index": 0, "end_index": 2}
MESSAGES: list[dict[str, Any]] = [
    {"content": "Hi"},
    {"content": "Hi", "refusal": None, "reasoning": None, "tool_calls": []},
    {"content": "", "refusal": "No."},
    {"content": "Sure.", "refusal": "No."},
    {"content": "Hi", "annotations": [{"type": "url_citation", "url_citation": SOURCE}]},
    {"content": None, "tool_calls": [CALL, CALL | {"id": "call_2"}]},
    {"content": "Wait.", "reasoning_content": "hm", "tool_calls": [CALL]},
    {"content": None, "reasoning": "hm"},
    {"content": "Half a \0 pair: \ud83d"},
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize("logprobs", [None, {"content": [TOKEN], "refusal": None}])
def test_it_is_as_if_it_had_streamed(message: dict[str, Any], finish: str, logprobs: Any) -> None:
    request = asked({"model": "m", "input": "hi", "top_logprobs": 1 if logprobs else 0})
    start = Start("resp_" + "0" * 32, 0, "m", Toolbox.of(request.parameters))
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": logprobs}
    whole = WholeReply(b"", {"model": "answered", "choices": [choice], "usage": USAGE}, "m")

    at = whole_response(start, request, whole, now=5)

    answer = Answer(start.id, request, start.toolbox)
    calls = [{"index": n, **call} for n, call in enumerate(message.get("tool_calls") or ())]
    delta = {**message, "tool_calls": calls}
    text = (message["content"] or message.get("refusal") or "").replace("\0", "�").replace("\ud83d", "�")
    piece = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    assert list(answer.take(Chunk(b"", {"choices": [piece]}, text, finish, Usage(3, 4, 7))))
    assert list(answer.end(whole.finish_reason or "stop"))
    assert at.output == answer.output
    assert not message.get("refusal") or message["refusal"] in str(at.output)
    assert (at.model, at.completed_at, at.status) == (
        *("answered", 5),
        "incomplete" if finish == "length" else "completed",
    )
    assert at.usage is not None
    assert (at.usage["input_tokens"], at.usage["output_tokens"]) == (3, 4)


def test_a_whole_answer_of_an_image_alone_is_no_response() -> None:
    start = Start("resp_" + "0" * 32, 0, "m", Toolbox.of({}))
    message = {"role": "assistant", "content": None, "images": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    whole = WholeReply(b"", {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}, "m")

    with pytest.raises(ProviderError, match="an image or a sound"):
        whole_response(start, asked({"input": "hi"}), whole, now=5)
