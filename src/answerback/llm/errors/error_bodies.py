"""The body of an upstream's error, in whatever shape its vendor gives it: the words that name the reason, the sentence
that explains it, and the wait it asks for.

Shapes read: OpenAI's `{"error": {message, type, param, code}}`, Google's with `status` and `details`, also as a list
around it; Anthropic's `{"type": "error", "error": {…}}`; vLLM's, Mistral's and DashScope's without `error`; FastAPI's
`{"detail": …}`; Cloudflare's `{"errors": [{code, message}]}`; a text for an error (Ollama, Hugging Face, xAI); AWS'
`__type`; MiniMax' `base_resp`; OpenRouter's `metadata.raw` and other JSON inside a text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from answerback.kernel.json import Json, in_text
from answerback.kernel.waits import moment_in_field, wait_in_field

MOST_VALUES, MOST_DEPTH, MOST_TEXTS, LONGEST = 500, 8, 6, 4_000
"""What is read of a body: an error's is small."""

_TEXTS = frozenset(
    {"message", "msg", "error", "errors", "detail", "details", "error_msg", "error_message", "status_msg", "errmsg"}
    | {"errormessage", "error_description", "raw", "reason_message", "faultstring"}
)
_WORDS = frozenset(
    {"code", "type", "reason", "status", "error", "error_type", "error_code", "errorcode", "status_code", "statuscode"}
    | {"__type", "error_class", "quotaid"}
)
_SENTENCE = re.compile(r"\S+ \S+ ?\S*|.*[^\x00-\x7f]{4}", re.DOTALL)
"""What is no name, number or address: the field of a sentence whose name nobody expects (`description`, `title`)."""
_ECHOES = frozenset({"input", "inputs", "ctx", "request", "body", "prompt", "messages", "choices"})
"""Fields that repeat the request: what they say is the caller's, not the upstream's."""

_MARKS = frozenset({"flagged_input", "content_filter_result", "limit_source"})
"""Fields that say by being there what is wrong: a filter (OpenRouter, Azure), a spending limit (OpenRouter)."""

_WORD = re.compile(r"[\w.:/ -]{1,128}")
_WRAPPED = re.compile(r"^(?:[\w.]+(?:Error|Exception)\b|Error code: [0-9]{3}\b)")
_BOTO = re.compile(r"an error occurred \((\w{1,64})\) when calling the ", re.IGNORECASE)
_GRPC = re.compile(r"rpc error: code = (\w{1,64}) desc = ", re.IGNORECASE)
"""How AWS' SDK for Python and gRPC's for Go begin the sentence of an error."""
_WRAPPED_WORD = re.compile(r"""['"](?:code|type|status|reason)['"]\s*:\s*['"]([\w.-]{1,64})['"]""")
_WRAPPED_STATUS = re.compile(r"\b(?:error code:|status code:?) ([45][0-9]{2})\b(?! ?[0-9])", re.IGNORECASE)
_AWS_NAME = re.compile(r"(?:[\w.]+#)?([A-Za-z]\w{0,127})(?::.*)?")
_LITELLM = re.compile(r"(?:litellm\.(?:exceptions\.)?\w+: *)+")
"""The names of LiteLLM's exceptions in front of its sentence."""
_LITELLM_NAME = re.compile(r"litellm\.(?:exceptions\.)?(\w{1,64})")
_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|center|title)\b", re.IGNORECASE)


HTTPS_WANTED = "https-wanted"
"""A word for a sentence that plain HTTP came to a port of TLS."""

_HTTPS_WANTED = re.compile(
    rb"plain HTTP request was sent to (?:an )?HTTPS port|speaking plain HTTP to an SSL-enabled server port"
    rb"|HTTP request to an HTTPS server",
    re.IGNORECASE,
)
"""nginx, Apache, Go."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error says. `words` are its codes, types, reasons and status names, in lower case, `wrapped` those that
    stand in a gateway's sentence around another error, with its status; `code` is the first that is no mere number, as
    it was written; `wait` is in seconds, `moment` the one to wait for. `is_page`: it is a web page. `headers` are those
    of the response that the error reports (OpenRouter's `metadata.headers`), in lower case. `otherwise`: what fields of
    other names say."""

    words: frozenset[str] = frozenset()
    wrapped: frozenset[str] = frozenset()
    message: str = ""
    code: str | None = None
    param: str | None = None
    wait: float | None = None
    moment: str | None = None
    is_page: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""

    def explained(self) -> "ErrorBody":
        """What is known to be an error, with whatever sentence stands for its message."""
        return self if self.message else replace(self, message=self.otherwise)


def read_error(error: Json, raw: bytes = b"") -> ErrorBody:
    """`error` is the decoded body, or the error in it; `raw` is read where that is None."""
    if error is None:
        is_page = _PAGE.match(raw[:200]) is not None
        if _HTTPS_WANTED.search(raw[:LONGEST]):
            return ErrorBody(words=frozenset({HTTPS_WANTED}), is_page=is_page)
        if is_page:
            return ErrorBody(is_page=True)
        return ErrorBody(message=raw[:LONGEST].decode(errors="replace").strip())
    reader = _Reader()
    reader.read(error, "error", 0)
    return reader.result()


class _Reader:
    """Collects while it walks."""

    def __init__(self) -> None:
        self._left = MOST_VALUES
        self._words: set[str] = set()
        self._wrapped: set[str] = set()
        self._texts: list[str] = []
        self._others: list[str] = []
        self._code: str | None = None
        self._param: str | None = None
        self._wait: float | None = None
        self._moment: str | None = None
        self._headers: dict[str, str] = {}

    def read(self, value: Json, name: str, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            return
        match value:
            case dict():
                self._read_object(value, depth)
            case list():
                for each in value:
                    self.read(each, name, depth + 1)
            case str():
                self._read_text(value, name, depth)
            case bool() | None:
                pass
            case int() if name in _WORDS:
                self._words.add(str(value)[:32])

    def _read_object(self, value: Mapping[str, Json], depth: int) -> None:
        where = _location(value.get("loc"))
        if where is not None and isinstance(said := value.get("msg"), str):
            # FastAPI's and Pydantic's: the sentence makes sense only with the field's name.
            self._param = self._param or where
            self._add_text(f"{where}: {said}")
            value = {key: each for key, each in value.items() if key not in ("msg", "loc")}
        for key, each in _outer_first(value):
            lower = key.lower()
            if lower == "headers" and isinstance(each, dict):
                self._headers |= {k.lower(): str(v) for k, v in each.items() if isinstance(v, str | int | float)}
            elif lower == "param" and isinstance(each, str) and each:
                self._param = self._param or each[:256]
            elif (wait := wait_in_field(lower, each)) is not None:
                self._wait = wait if self._wait is None else self._wait
            elif (moment := moment_in_field(lower, each)) is not None:
                self._moment = self._moment or moment
            elif lower in _MARKS:
                self._words.add(lower)
            elif lower not in _ECHOES:
                self.read(each, lower, depth + 1)

    def _read_text(self, text: str, name: str, depth: int) -> None:
        text = text.strip()
        if name == "__type" or (name == "code" and "#" in text):
            text = _aws_name(text) or text
        if name in _WORDS and _WORD.fullmatch(text):
            self._words.add(text.lower())
            if name in ("code", "__type") and not text.isdigit():
                self._code = self._code or text
        if name not in _TEXTS or not text:
            if len(self._others) < MOST_TEXTS and _SENTENCE.match(text[:LONGEST]):
                self._others.append(text[:LONGEST])
            return
        inner = _decoded(text)
        if inner is not None:
            self.read(inner, name, depth + 1)
        else:
            self._add_text(text[:LONGEST])

    def _add_text(self, text: str) -> None:
        if names := _LITELLM.match(text):
            self._words.update(name.lower() for name in _LITELLM_NAME.findall(names[0]))
        if (named := _BOTO.match(text) or _GRPC.match(text)) is not None:
            self._words.add(named[1].lower())
        if _WRAPPED.match(text):
            self._wrapped.update(word.lower() for word in _WRAPPED_WORD.findall(text))
        self._wrapped.update(_WRAPPED_STATUS.findall(text[:LONGEST]))
        if len(self._texts) < MOST_TEXTS and not any(text in each for each in self._texts):
            self._texts.append(text)

    def result(self) -> ErrorBody:
        return ErrorBody(
            frozenset(self._words),
            frozenset(self._wrapped),
            "; ".join(self._texts)[:LONGEST],
            self._code,
            self._param,
            self._wait,
            self._moment,
            headers=self._headers,
            otherwise="; ".join(self._others)[:LONGEST],
        )


def named_in_headers(body: ErrorBody, headers: Mapping[str, str]) -> ErrorBody:
    """What the error says, with the name that AWS puts into a header of the response."""
    name = _aws_name(headers.get("x-amzn-ErrorType") or "")
    return body if name is None else replace(body, words=body.words | {name.lower()}, code=body.code or name)


def _aws_name(text: str) -> str | None:
    """The name of an AWS error without its namespace, and without the address behind it (Smithy's AWS protocols)."""
    found = _AWS_NAME.fullmatch(text.strip()[:LONGEST])
    return None if found is None else found[1]


def _outer_first(value: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """The plain fields before the nested ones: an outer code and sentence come first."""
    yield from ((key, each) for key, each in value.items() if not isinstance(each, dict | list))
    yield from ((key, each) for key, each in value.items() if isinstance(each, dict | list))


def _location(loc: Json) -> str | None:
    if not isinstance(loc, list) or not loc or not all(isinstance(step, str | int) for step in loc):
        return None
    return ".".join(str(step) for step in loc if step != "body")[:256] or None


def _decoded(text: str) -> Json:
    """JSON inside a text; None for any other text."""
    return in_text(text) if text[0] in "{[" else None
