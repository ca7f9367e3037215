"""The tokens of a response, by those of the completion that it was made of."""

from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.kernel.usage import Usage
from answerback.llm.answers.usage_fields import count


def usage_of(usage: Usage | None, raw: Json) -> dict[str, Json] | None:
    """`raw` is what the upstream counted, in its own fields; None where it counted nothing."""
    if usage is None:
        return None
    counted: Mapping[str, Json] = raw if isinstance(raw, dict) else {}
    read = _details(counted, "prompt_tokens_details")
    said = _details(counted, "completion_tokens_details")
    cached = count(read.get("cached_tokens", counted.get("prompt_cache_hit_tokens")))
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": cached or 0,
            "cache_write_tokens": count(read.get("cache_write_tokens")) or 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": count(said.get("reasoning_tokens")) or 0},
        "total_tokens": usage.total_tokens,
    }


def _details(counted: Mapping[str, Json], field: str) -> Mapping[str, Json]:
    details = counted.get(field)
    return details if isinstance(details, dict) else {}
