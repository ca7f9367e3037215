"""The choices of a completion, or of a chunk, as OpenAI's clients can read and join them. What conforms stays the same
object, so that its bytes can be sent on as they came."""

from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.llm.answers import finish_reasons
from answerback.llm.answers.call_pieces import CallPieces
from answerback.llm.answers.completions import WITHOUT_ANYTHING, invalid
from answerback.llm.answers.content import has_media, text_of
from answerback.llm.answers.finish_reasons import Finish, reason_of
from answerback.llm.answers.thoughts import thought_in
from answerback.llm.answers.tool_calls import as_text, calls_tools, tool_calls
from answerback.llm.model import storable

ASSISTANT = "assistant"
"""The role of whatever a model says."""

_WITH_WHOLE_CALLS = frozenset({Finish.DONE, Finish.TOOLS, Finish.UNKNOWN})
"""Ends of answers that were not cut: what has not come of a call's arguments will not come."""

NO_CHANCE = -9999.0
"""OpenAI's logarithm of a chance of nothing, which others give as -Infinity."""


def conforming_chunk(
    choice: dict[str, Json], index: Json, calls: CallPieces, *, begins: bool, calling: bool
) -> dict[str, Json]:
    """A choice of a chunk: it has this index, there is a delta, which has a role where the choice `begins` with it, and
    its end is said in OpenAI's words. `calling` says whether it has called tools so far. Raises ProviderError as
    `CallPieces` does."""
    changes = _of_any(choice, calling)
    if choice.get("index") != index:
        changes["index"] = index
    delta = choice.get("delta")
    finish = finish_reasons.classify(reason_of(choice))
    readable = delta if isinstance(delta, dict) else {}
    said = _said(readable, (ASSISTANT,) if begins else (None, ASSISTANT)) | _pieces(readable, calls, finish)
    if said or readable is not delta:
        changes["delta"] = {**readable, **said}
    return {**choice, **changes} if changes else choice


def conforming_whole(choice: Json, position: int) -> Json:
    """A choice of a whole completion: it has a number, its message has a role, and its end is said in OpenAI's words.
    Raises ProviderError for a tool call that names no tool."""
    if not isinstance(choice, dict):
        return choice
    choice = with_message(choice)
    message = choice.get("message")
    changes = _of_any(choice, calls_tools(message))
    if type(choice.get("index")) is not int:
        changes["index"] = position
    cut = finish_reasons.classify(reason_of(choice)) is Finish.CUT
    if isinstance(message, dict) and (said := _said(message, (ASSISTANT,)) | _calls(message, cut=cut)):
        changes["message"] = {**message, **said}
    return {**choice, **changes} if changes else choice


def with_message(choice: dict[str, Json]) -> dict[str, Json]:
    """A choice whose text stands where plain completions or chunks have it, with a message; so has one that a filter or
    a limit left without any."""
    if choice.get("message") is not None:
        return choice
    delta, text = choice.get("delta"), choice.get("text")
    if not isinstance(delta, dict):
        ended = finish_reasons.classify(reason_of(choice))
        if not isinstance(text, str) and ended not in WITHOUT_ANYTHING:
            return choice
        delta = {"content": text}
    rest = {name: value for name, value in choice.items() if name not in ("delta", "text")}
    return {**rest, "message": {"role": ASSISTANT, **delta}}


def with_delta(choice: dict[str, Json]) -> dict[str, Json]:
    """The same of a chunk's choice, with a delta."""
    if "delta" in choice or "message" in choice or not isinstance(text := choice.get("text"), str):
        return choice
    return {name: value for name, value in choice.items() if name != "text"} | {"delta": {"content": text}}


def is_plain(delta: Mapping[str, Json]) -> bool:
    """Whether a delta is text alone, and as OpenAI's."""
    content = delta.get("content")
    return (
        (content is None or type(content) is str)
        and delta.get("tool_calls") is None
        and delta.get("role", ASSISTANT) in (ASSISTANT, None)
        and delta.get("refusal") is None
        and delta.get("function_call") is None
    )


def _of_any(choice: Mapping[str, Json], calling: bool) -> dict[str, Json]:
    changes = dict[str, Json]()
    said = finish_reasons.conforming(reason_of(choice), calls_tools=calling)
    if said != choice.get("finish_reason"):
        changes["finish_reason"] = said
    logprobs = choice.get("logprobs")
    if logprobs is not None and (readable := _logprobs(logprobs)) != logprobs:
        changes["logprobs"] = readable
    return changes


def _said(said: Mapping[str, Json], roles: tuple[str | None, ...]) -> dict[str, Json]:
    """What of a message, or of a piece of one, is otherwise than OpenAI's; tool calls aside."""
    changes = dict[str, Json]()
    if said.get("role") not in roles:
        changes["role"] = ASSISTANT
    if not isinstance(said.get("refusal"), str | None):
        changes["refusal"] = None
    content = said.get("content")
    if isinstance(content, list | dict) and not has_media(content):
        changes["content"] = _text(content)
        if (thought := thought_in(said)) is not None and thought.field is None:
            changes["thinking"] = thought.text
    function = said.get("function_call")
    if function is not None and (readable := _function(function)) != function:
        changes["function_call"] = readable
    return changes


def _text(content: Json) -> str:
    try:
        return text_of(content)
    except ValueError:
        raise invalid("holds no text") from None


def _function(function: Json) -> Json:
    """A call in the form of earlier models."""
    if not isinstance(function, dict) or not function:
        return None
    arguments = function.get("arguments")
    return function if isinstance(arguments, str | None) else {**function, "arguments": as_text(arguments)}


def _calls(message: Mapping[str, Json], *, cut: bool) -> dict[str, Json]:
    given = message.get("tool_calls")
    if not given:
        return {} if given is None or given == [] else {"tool_calls": None}
    calls = list(tool_calls({"tool_calls": given}, cut=cut))
    return {} if calls == given else {"tool_calls": calls or None}


def _pieces(delta: Mapping[str, Json], calls: CallPieces, finish: Finish) -> dict[str, Json]:
    if function_call := delta.get("function_call"):
        calls.note_function_call(function_call)
    given = delta.get("tool_calls")
    pieces = calls.conforming(given) if given else []
    if finish is not Finish.NONE:
        pieces += calls.released()
    if finish in _WITH_WHOLE_CALLS:
        pieces = calls.completed(pieces)
    if not pieces and not given:
        return {} if given is None or given == [] else {"tool_calls": None}
    return {} if pieces == given else {"tool_calls": pieces}


def _logprobs(logprobs: Json) -> Json:
    """Chances that JSON cannot say are read as null."""
    if not isinstance(logprobs, dict):
        return None
    readable = {name: _tokens(logprobs[name]) for name in ("content", "refusal") if logprobs.get(name)}
    return {**logprobs, **readable}


def _tokens(given: Json, *, top: bool = False) -> list[Json]:
    """Those that can be read. What is as it should be is the same object, which costs no look at what it holds."""
    listed = given if isinstance(given, list) else ()
    return [_token(each, top) for each in listed if isinstance(each, dict) and isinstance(each.get("token"), str)]


def _token(token: dict[str, Json], top: bool) -> dict[str, Json]:
    changes: dict[str, Json] = {"logprob": NO_CHANCE} if token.get("logprob") is None else {}
    if not isinstance(token.get("bytes", 0), list | None):
        changes["bytes"] = list(storable(token["token"]).encode())
    if not top and (readable := _tokens(token.get("top_logprobs"), top=True)) != token.get("top_logprobs"):
        changes["top_logprobs"] = readable
    return {**token, **changes} if changes else token
