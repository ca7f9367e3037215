"""The response object, whole or as far as it has come: every field of OpenAI's, always."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from answerback.kernel.json import Json
from answerback.kernel.usage import Usage
from answerback.kernel.values import quickly_made
from answerback.llm.errors.failures import CONTEXT_CODE
from answerback.responses.model import SEALED, Asked, Item
from answerback.responses.tools.toolbox import NO_TOOLS, Toolbox

HIDDEN = frozenset({"extra"})
"""Fields of stored items that only an upstream reads."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Start:
    """A response before its answer. `model` is the one that is asked."""

    id: str
    created_at: int
    model: str
    toolbox: Toolbox


@quickly_made
@dataclass(frozen=True, slots=True)
class Progress:
    """How far a response has come. `status` is OpenAI's, `reason` why it is incomplete; times are in epoch
    milliseconds."""

    id: str
    created_at: int
    model: str
    status: str
    output: Sequence[Item] = ()
    usage: Mapping[str, Json] | None = None
    reason: str | None = None
    error: Mapping[str, Json] | None = None
    completed_at: int | None = None
    toolbox: Toolbox = NO_TOOLS

    @property
    def cost(self) -> Usage | None:
        """The tokens of `usage`, under the names of chat completions."""
        if self.usage is None:
            return None
        return Usage(self.usage["input_tokens"], self.usage["output_tokens"], self.usage["total_tokens"])


def response_body(asked: Asked, at: Progress, *, stored: bool) -> dict[str, Json]:
    """`stored` says whether it can be fetched again."""
    given = asked.parameters
    reasoning, text = given.get("reasoning", {}), given.get("text", {})
    tier = given.get("service_tier")
    return {
        "id": at.id,
        "object": "response",
        "created_at": at.created_at // 1000,
        "completed_at": at.completed_at // 1000 if at.completed_at is not None and at.status == "completed" else None,
        "status": at.status,
        "background": given.get("background", False),
        "store": stored,
        "error": at.error,
        "incomplete_details": None if at.reason is None else {"reason": at.reason},
        "instructions": given.get("instructions"),
        "model": at.model,
        "output": shown(at.output, sealed=asked.includes(SEALED)),
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": given.get("previous_response_id"),
        "conversation": {"id": given["conversation"]} if "conversation" in given else None,
        "reasoning": {
            "effort": reasoning.get("effort"),
            "summary": reasoning.get("summary") or reasoning.get("generate_summary"),
        },
        "text": {"format": {"type": "text"}} | text,
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": list(at.toolbox.echoed),
        "truncation": given.get("truncation", "disabled"),
        "max_output_tokens": given.get("max_output_tokens"),
        "max_tool_calls": given.get("max_tool_calls"),
        "metadata": given.get("metadata", {}),
        "user": given.get("user"),
        "safety_identifier": given.get("safety_identifier"),
        "prompt_cache_key": given.get("prompt_cache_key"),
        "temperature": given.get("temperature", 1.0),
        "top_p": given.get("top_p", 1.0),
        "presence_penalty": given.get("presence_penalty", 0),
        "frequency_penalty": given.get("frequency_penalty", 0),
        "top_logprobs": given.get("top_logprobs", 0),
        "service_tier": "default" if tier in (None, "auto") else tier,
        "usage": at.usage,
    }


def shown(items: Iterable[Item], *, sealed: bool) -> list[Item]:
    """Items as clients see them; `encrypted_content` only where it was asked for."""
    hidden = HIDDEN if sealed else HIDDEN | {"encrypted_content"}
    return [item if hidden.isdisjoint(item) else _without(hidden, item) for item in items]


def _without(hidden: Set[str], item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in hidden}


def param_of(code: str, param: str | None) -> str | None:
    """Which parameter of a response an upstream's refusal names: a model that is not there is one, and what is too long
    is the input."""
    return {"model_not_found": "model", CONTEXT_CODE: "input"}.get(code, param)


def error_body(status: int, code: str, message: str, param: str | None) -> dict[str, Json]:
    """The `error` of a response that has failed."""
    error: dict[str, Json] = {"code": _error_code(status, code, param), "message": message, "type": code}
    return error if param is None else {**error, "param": param}


def _error_code(status: int, code: str, param: str | None) -> str:
    """One of the codes that OpenAI's SDKs know."""
    match status:
        case 429:
            return "rate_limit_exceeded"
        case 400 | 404 | 413 | 422:
            return "invalid_image" if "image" in f"{code} {param}" else "invalid_prompt"
        case _:
            return "server_error"
