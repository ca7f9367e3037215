"""What Pydantic finds wrong, in words that say what to send instead."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

AN_EXAMPLE = "such as 2026-01-01T12:00:00Z"
_ITS_OWN = re.compile(r"^Value error, | after validation, not \d+$")
"""What it puts around the words of a check, and how it counts."""
_WANTED: Mapping[str, str] = {
    "missing": "must be given",
    "extra_forbidden": "there is no such field",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} character{s}",
    "string_too_long": "must have at most {max_length} character{s}",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and a smaller one",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "invalid_key": "must be a string",
    "too_short": "must have at least {min_length} item{s}",
    "too_long": "must have at most {max_length} item{s}",
    "union_tag_not_found": "must have a {discriminator}",
    "union_tag_invalid": "must have one of these as its {discriminator}: {expected_tags}",
    "datetime_type": f"must be a time in RFC 3339, {AN_EXAMPLE}",
    "datetime_parsing": f"must be a time in RFC 3339, {AN_EXAMPLE}",
    "datetime_from_date_parsing": f"must be a time in RFC 3339, {AN_EXAMPLE}",
    "timezone_aware": f"must name its time zone, {AN_EXAMPLE}",
}
"""By Pydantic's types of errors."""


def plain_words(error: Mapping[str, Any]) -> str:
    """Of one of Pydantic's errors, with its `ctx`."""
    wanted = _WANTED.get(error["type"])
    if wanted is None:
        return _ITS_OWN.sub("", error["msg"])
    facts = {name: _shown(value) for name, value in error.get("ctx", {}).items()}
    limit = next((facts[name] for name in ("min_length", "max_length") if name in facts), 0)
    return wanted.format(**facts, s="" if limit == 1 else "s")


def _shown(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`{"type", "loc", "msg"}` of each of Pydantic's errors."""
    return [{"type": each["type"], "loc": list(each["loc"]), "msg": plain_words(each)} for each in errors]
