"""Completions that are as OpenAI's own: one choice, of text alone. Most are, and nothing in them needs to be mended."""

from collections.abc import Mapping
from typing import TypeGuard

from answerback.kernel.json import Json
from answerback.llm.answers.finish_reasons import OPENAI_WORDS, reason_of
from answerback.llm.answers.heads import COMPLETION, TIERS
from answerback.llm.answers.usage_fields import DETAILS, LARGEST_COUNT
from answerback.llm.errors.in_answers import BESIDE_CHOICES

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def is_plain(document: Json) -> TypeGuard[dict[str, Json]]:
    """Whether a decoded body is such a completion: it holds an answer, and OpenAI's clients can read every part of it.
    False wherever a closer look is needed."""
    if type(document) is not dict or document.get("error") or not BESIDE_CHOICES.isdisjoint(document):
        return False
    # A pattern such as `[dict(choice)]` takes longer than all the rest: it looks for a `__match_args__` of `dict`.
    choices = document.get("choices")
    if type(choices) is not list or len(choices) != 1:
        return False
    return _is_plain_choice(choices[0]) and _is_plain_head(document) and _is_plain_usage(document.get("usage"))


def _is_plain_choice(choice: Json) -> bool:
    if type(choice) is not dict:
        return False
    message = choice.get("message")
    return (
        type(reason := choice.get("finish_reason")) is str
        and reason in OPENAI_WORDS
        and reason_of(choice) == reason
        and type(choice.get("index")) is int
        and choice.get("logprobs") is None
        and not choice.get("error")
        and type(message) is dict
        and message.get("role") == "assistant"
        and type(content := message.get("content")) is str
        and content != ""
        and not content.isspace()
        and "\0" not in content
        and message.get("tool_calls") is None
        and message.get("function_call") is None
        and message.get("refusal") is None
        and not message.get("error")
    )


def _is_plain_head(document: Mapping[str, Json]) -> bool:
    tier, fingerprint = document.get("service_tier"), document.get("system_fingerprint")
    return (
        document.get("object") == COMPLETION
        and type(document.get("id")) is str
        and type(document.get("model")) is str
        and type(document.get("created")) is int
        and (tier is None or (type(tier) is str and tier in TIERS))
        and (fingerprint is None or type(fingerprint) is str)
    )


def _is_plain_usage(usage: Json) -> bool:
    if type(usage) is not dict:
        return False
    for name in COUNTS:
        if type(count := usage.get(name)) is not int or not 0 <= count <= LARGEST_COUNT:
            return False
    return all(map(_is_plain_detail, map(usage.get, DETAILS)))


def _is_plain_detail(detail: Json) -> bool:
    return detail is None or (
        type(detail) is dict and not any(isinstance(value, float | str) for value in detail.values())
    )
