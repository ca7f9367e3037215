"""Errors that upstreams report with a 200, in place of an answer or beside one that they broke off.

Beside choices only fields count whose meaning is documented: Groq's `x_groq.error` ("why a stream was stopped early"),
MiniMax' `base_resp`, Baidu's `error_code`, a list of `errors` (Cloudflare), the `status` of OpenAI's responses.
"""

import re
from collections.abc import Mapping

from answerback.kernel.json import Json
from answerback.llm.answers import finish_reasons
from answerback.llm.answers.blank_errors import is_error
from answerback.llm.answers.finish_reasons import Finish

STATUS_NUMBER = re.compile(r"[45][0-9]{2}", re.ASCII)

LONGEST_STATE = 20
"""In characters: what is longer is a sentence."""

_SENTENCES = ("detail", "errorMessage", "error_message", "error_msg", "errmsg", "error_description")
"""Fields of errors alone, on the top of a document."""

_BROKEN_STATES = ("error", "failed", "failure")

_ENVELOPES = ("fault", "response", "result", "data", "status", "body")
"""Fields that hold an error in place of an answer: Apigee's `fault`, Tencent Cloud's `Response`, Clova's `status`."""

_MESSAGES = frozenset({"message", "msg"})
_NO_ANSWER = _MESSAGES | frozenset({"id", "request_id", "requestid", "timestamp", "trace_id", "data", "result"})
"""Fields that hold no answer beside a message, where they hold anything."""

BESIDE_CHOICES = frozenset({"x_groq", "base_resp", "errors", "error_code", "status"})
"""Fields that may report an error, or how the answer ended, beside choices."""


def error_in(document: Json, *, whole: bool = False) -> Json:
    """The error in a 200's body; None where there is none. What fills a `whole` body in place of an answer may be one
    in any envelope; an event of a stream may say how far a gateway is. Some upstreams report one without an `error`:
    vLLM (`object`), MiniMax (`base_resp`), Cloudflare (`success`, `errors`), Zhipu (`code`, `msg`), Baidu
    (`error_code`)."""
    if isinstance(document, list) and len(document) == 1:
        # Google puts a list around its errors.
        document = document[0] if isinstance(document[0], dict) and "error" in document[0] else None
    if not isinstance(document, dict):
        return None
    if document.get("error"):
        return document["error"]
    if (beside := error_beside(document)) is not None or document.get("choices"):
        return beside
    refused = document.get("object") == "error" or document.get("success") is False
    refused = refused or any(document.get(name) in _BROKEN_STATES for name in ("type", "status", "event"))
    coded = "code" in document and (document["code"] is None or is_error(document["code"]))
    named = coded and ("message" in document or "msg" in document)
    listed = document.get("errors") or document.get("error_code")
    if refused or named or listed or _is_sentence(document, _NO_ANSWER if whole else _MESSAGES):
        return document
    return _enveloped(document) if whole else None


def _enveloped(document: Mapping[str, Json]) -> Json:
    """The error in an envelope: `{"Response": {"Error": {"Code", "Message"}}}`."""
    for name, held in document.items():
        if name.lower() not in (*_ENVELOPES, "error") or not isinstance(held, dict):
            continue
        fields = {field.lower(): each for field, each in held.items()}
        code, says = fields.get("code"), any(isinstance(fields.get(field), str) for field in ("message", "faultstring"))
        coded = name.lower() in ("fault", "error") or (code is not None and is_error(code))
        if is_error(fields.get("error")) or (coded and says):
            return held
    return None


def error_beside(document: dict[str, Json]) -> Json:
    """An error that the document reports, whatever choices stand beside it."""
    if BESIDE_CHOICES.isdisjoint(document):
        return None
    groq, reported, listed = document.get("x_groq"), document.get("base_resp"), document.get("errors")
    if isinstance(groq, dict) and is_error(groq.get("error")):
        return groq["error"]
    refused = isinstance(reported, dict) and is_error(reported.get("status_code"))
    refused = refused or document.get("status") in _BROKEN_STATES
    refused = refused or (is_error(document.get("error_code")) and is_error(document.get("error_msg")))
    refused = refused or (isinstance(listed, list) and any(map(_has_message, listed)))
    return document if refused else None


def _has_message(error: Json) -> bool:
    return isinstance(error, dict) and is_error(error.get("message"))


def _is_sentence(document: Mapping[str, Json], beside: frozenset[str]) -> bool:
    """Whether it is what frameworks and gateways say in place of an answer: FastAPI's `detail`, AWS' `message` alone, a
    status beside any (RFC 9457)."""
    if any(is_error(document.get(name)) for name in _SENTENCES):
        return True
    if any(STATUS_NUMBER.fullmatch(str(document.get(name))) for name in ("status", "statusCode", "status_code")):
        return True
    held = {name.lower() for name, value in document.items() if value not in (None, "", {}, [])}
    return held <= beside and any(_says_trouble(document.get(name)) for name in _MESSAGES)


def _says_trouble(message: Json) -> bool:
    """Whether a message alone is more than how far a gateway is: `completed`, `processing`."""
    if not isinstance(message, str) or not is_error(message):
        return False
    return len(message) > LONGEST_STATE or finish_reasons.classify(message) not in (Finish.DONE, Finish.NONE)
