"""Bodies of the OpenAI routes: decoded, and checked only as far as each route needs."""

import json
import math
from codecs import BOM_UTF8
from typing import Any, NoReturn

from starlette.requests import Request

from answerback.http.bodies import may_hold_surrogates
from answerback.http.content_types import refuse_other_than_json
from answerback.http.openai_errors import InvalidParameter, InvalidType
from answerback.kernel.json import Json, has_more_values

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of a request that holds messages, items or texts: histories, images and files are long."""
MAX_VALUES = 100_000
"""Of JSON in such a request: a history of thousands of messages has fewer."""


async def read_object(request: Request, wanted: str, most_values: int = MAX_VALUES) -> dict[str, Json]:
    """The request's JSON object; `wanted` says what to send instead of what is none. Raises InvalidParameter,
    UnsupportedMediaType, and BodyTooLarge from the middleware.

    `most_values` bounds the values within: such bodies are large because of a few long texts, and many small values
    cost far more than as many bytes of text.
    """
    raw = (await request.body()).removeprefix(BOM_UTF8)
    if has_more_values(raw, most_values):
        raise InvalidParameter("body", f"the body holds more than {most_values} values")
    try:
        body = _decode(raw, wanted)
    except InvalidParameter:
        refuse_other_than_json(request, wanted)
        raise
    if not isinstance(body, dict):
        raise InvalidParameter("body", "the body must be a JSON object")
    return body


def check_type(body: dict[str, Json], field: str, kind: type[Any], wanted: str) -> None:
    """Raises InvalidType for a field that is there, and is none of this kind."""
    value = body.get(field)
    if value is not None and not isinstance(value, kind):
        raise InvalidType(field, f"'{field}' must be {wanted}")


def _decode(raw: bytes, wanted: str) -> Json:
    try:
        decoded: Json = _DECODER.decode(raw.decode())
        if may_hold_surrogates(raw):
            json.dumps(decoded, ensure_ascii=False).encode()
        return decoded
    except UnicodeEncodeError:
        words = "the body holds half a surrogate pair, which is no text"
    except (UnicodeDecodeError, json.JSONDecodeError):
        words = f"the body is not JSON in UTF-8: {wanted}"
    except RecursionError:
        words = "the body is nested too deep"
    except ValueError:
        words = "the body holds a number with too many digits"
    raise InvalidParameter("body", words)


def _finite(literal: str) -> float:
    if not math.isfinite(number := float(literal)):
        raise InvalidParameter("body", f"the body holds {literal[:20]}, which is too large a number")
    return number


def _no_number(literal: str) -> NoReturn:
    raise InvalidParameter("body", f"the body holds {literal}, which is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)
