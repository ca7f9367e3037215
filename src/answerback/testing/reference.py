"""The tables of `docs/reference/`, from the code: Markdown for settings, errors, metrics and routes."""

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

from answerback.bootstrap import app
from answerback.http import codes, openai_errors, upstream
from answerback.http.errors import STATUSES
from answerback.kernel.errors import ErrorCode, Refusal
from answerback.observability.metrics import PrometheusMetrics
from answerback.settings.describing import by_group

LOADED = app
"""The application imports every room that has a Refusal of its own."""

OPENAI = (openai_errors.__name__, "answerback.chat.", "answerback.responses.")
"""Where errors of OpenAI's routes alone are defined."""

METHODS = ("get", "post", "put", "patch", "delete")


def settings() -> str:
    """A table for each group."""
    parts = []
    for title, described in by_group().items():
        rows = [(f"`{name}`", f"`{default}`" if default else "", meaning) for name, default, meaning in described]
        parts.append(f"## {title}\n\n{_table(('setting', 'default', 'meaning'), rows)}")
    return "\n".join(parts)


def job_errors() -> str:
    """The codes of jobs and callbacks, with the status that synchronous routes answer."""
    meanings = _docstrings(ErrorCode)
    rows = [(f"`{code}`", str(upstream.STATUSES.get(code, "")), meanings[code.name]) for code in ErrorCode]
    return _table(("`error.code`", "status", "meaning"), rows)


def response_errors() -> str:
    """The codes of error responses, by status."""
    meanings: dict[tuple[int, str], list[str]] = {}
    for each in sorted(_response_errors()):
        meanings.setdefault((each.status, each.code), []).append(each.meaning)
    rows = [(str(status), f"`{code}`", " ".join(filter(None, said))) for (status, code), said in meanings.items()]
    return _table(("status", "`error.code`", "meaning"), rows)


def metrics() -> str:
    counted = PrometheusMetrics()
    counted.redis(up=True)
    rows = [
        (f"`{family.name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels), family.meaning)
        for family in sorted(counted.families)
    ]
    return _table(("metric", "kind", "labels", "meaning"), rows)


def routes(document: Mapping[str, Any]) -> str:
    """Every operation of an OpenAPI document, by its tag."""
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if (operation := item.get(method)) is not None:
                text = _operation(f"{method.upper()} {path}", operation, document)
                by_tag.setdefault(operation["tags"][0], []).append(text)
    return "\n".join(f"## {tag[0].upper()}{tag[1:]}\n\n" + "\n".join(found) for tag, found in by_tag.items())


class _ResponseError(NamedTuple):
    status: int
    code: str
    meaning: str


def _response_errors() -> Iterator[_ResponseError]:
    for kind in _refusals(Refusal):
        if "code" in vars(kind):
            status = next(STATUSES[each] for each in kind.__mro__ if each in STATUSES)
            if kind.__module__.startswith(OPENAI):
                status = openai_errors.STATUSES.get(status, status)
            yield _ResponseError(status, kind.code, _first_paragraph(kind))
    meanings = _docstrings(codes)
    for name, code in vars(codes).items():
        if isinstance(code, codes.Code):
            yield _ResponseError(*code, meanings[name])


def _refusals(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _refusals(each)


def _first_paragraph(kind: type) -> str:
    return _line((kind.__doc__ or "").partition("\n\n")[0])


def _docstrings(holder: type[StrEnum] | ModuleType) -> Mapping[str, str]:
    """The docstrings below the assignments of an enum or a module, by name: they are not kept at run time."""
    tree = ast.parse(inspect.getsource(holder))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else tree.body
    found = {}
    for assigned, following in pairwise(body):
        if isinstance(assigned, ast.Assign) and isinstance(following, ast.Expr):
            (target,), text = assigned.targets, following.value
            if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
                found[target.id] = _line(str(text.value))
    return found


def _operation(name: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = [f"### {name}\n\n**{operation['summary']}.** {_line(operation['description'])}\n"]
    parameters = [
        (f"`{each['name']}`", each["in"], _line(each.get("description", "")))
        for each in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(_table(("parameter", "in", "meaning"), parameters))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], document)
        required = schema.get("required", ())
        fields = [
            (f"`{field}`{' (required)' if field in required else ''}", _type(of, document), _described(of, document))
            for field, of in schema.get("properties", {}).items()
        ]
        if fields:
            parts.append(_table((f"field of `{media_type}`", "type", "meaning"), fields))
    return "\n".join(parts)


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _described(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    return _line(schema.get("description") or _resolved(schema, document).get("description", ""))


def _type(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    schema = _resolved(schema, document)
    if "anyOf" in schema or isinstance(schema.get("type"), list):
        # Every optional field also takes null and "", which count as absent.
        each_of = schema.get("anyOf") or [{"type": kind} for kind in schema["type"]]
        kinds = dict.fromkeys(_type(each, document) for each in each_of)
        return " or ".join(kind for kind in kinds if kind not in ("null", "any"))
    if schema.get("type") == "array":
        kind = _type(schema.get("items", {}), document)
        return "array" if kind == "any" else f"array of {kind}"
    return str(schema.get("type", "any"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _line(text: str) -> str:
    return " ".join(text.split())
