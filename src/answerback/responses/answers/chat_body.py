"""A request for a response as one for a chat completion."""

from collections.abc import Mapping, Sequence

from answerback.http.openai_errors import InvalidParameter
from answerback.kernel.json import Json
from answerback.llm.adaptation import OF_OPENAI, SETTINGS, STREAM
from answerback.llm.answers.thoughts import SENT_BACK
from answerback.llm.instructions import IN_PLACE
from answerback.responses.items.messages import chat_messages
from answerback.responses.model import Asked, Item
from answerback.responses.request import PASSED_ON
from answerback.responses.tools.toolbox import Toolbox

OPTIONAL = OF_OPENAI | SETTINGS | {STREAM, IN_PLACE, *SENT_BACK}
"""What an upstream that refuses it is asked without."""

_SAME = frozenset(
    {"model", "temperature", "top_p", "presence_penalty", "frequency_penalty", "user", *OF_OPENAI, *PASSED_ON}
)
"""Parameters that are called the same."""


def chat_body(asked: Asked, context: Sequence[Item], toolbox: Toolbox) -> dict[str, Json]:
    """The body that asks for the response to these items. Raises UnansweredCall, InvalidParameter."""
    given = asked.parameters
    body = {name: value for name, value in given.items() if name in _SAME}
    body["messages"] = chat_messages(context, given.get("instructions"))
    if not body["messages"]:
        raise InvalidParameter("input", "invalid 'input': nothing in it is an item that a chat model could read")
    if toolbox.functions:
        body |= _tools(given, toolbox)
    if "max_output_tokens" in given:
        body["max_tokens"] = given["max_output_tokens"]
    if effort := given.get("reasoning", {}).get("effort"):
        body["reasoning_effort"] = effort
    if asked.logprobs:
        body |= {"logprobs": True, "top_logprobs": given.get("top_logprobs", 0)}
    if "text" in given:
        body |= _text(given["text"])
    return body


def _tools(given: Mapping[str, Json], toolbox: Toolbox) -> Mapping[str, Json]:
    made: dict[str, Json] = {"tools": list(toolbox.functions)}
    if toolbox.choice is not None:
        made["tool_choice"] = toolbox.choice
    if "parallel_tool_calls" in given:
        made["parallel_tool_calls"] = given["parallel_tool_calls"]
    return made


def _text(options: Mapping[str, Json]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if "verbosity" in options:
        made["verbosity"] = options["verbosity"]
    match options.get("format"):
        case {"type": "json_schema", **schema}:
            made["response_format"] = {"type": "json_schema", "json_schema": schema}
        case {"type": "json_object"}:
            made["response_format"] = {"type": "json_object"}
    return made
