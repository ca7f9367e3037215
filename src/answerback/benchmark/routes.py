"""Benchmarks of a model, as JSON or as a page to look at; every run is in a CSV file of its own."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.benchmark import page
from answerback.benchmark.model import (
    MAX_CALLS,
    MAX_CONCURRENCY,
    MAX_RUNS,
    Plan,
    Report,
    Summary,
    read_prompts,
)
from answerback.benchmark.progress import started
from answerback.benchmark.reports import BenchmarkSummary, Reports
from answerback.benchmark.run import Benchmark, OnRun
from answerback.http.bodies import from_form
from answerback.http.content_types import require_form
from answerback.http.errors import BodyTooLarge, InvalidRequest
from answerback.http.fields import DIGITS, ModelName
from answerback.http.forms import read_form
from answerback.http.headers import accepts
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openapi_parts import ASK_ERRORS, IDEMPOTENCY_KEY, KEY_ERRORS, errors, not_found, refusal
from answerback.http.responses import JSON, respond
from answerback.http.sse import EVENT_STREAM, sse_response
from answerback.kernel.errors import InvalidField

PATH = "/benchmark"
MAX_FILE_BYTES = 1024 * 1024
FORM_WANTED = "send multipart/form-data with a file of prompts, as with curl -F prompt_file=@prompts.txt"
FORM_BYTES = 64 * 1024
"""What the form's other fields and separators may take beyond the file."""

PAGE_HEADERS = {
    "Content-Security-Policy": f"{page.POLICY}; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class BenchmarkForm(BaseModel):
    """The form's fields besides the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelName | None = Field(None, description="One of `GET /models`; without it the service's default.")
    runs: Annotated[int, Field(ge=1, le=MAX_RUNS), DIGITS] = Field(5, description="How often each prompt is asked.")
    concurrency: Annotated[int, Field(ge=1, le=MAX_CONCURRENCY), DIGITS] = Field(
        5, description="How many are asked at once, at most."
    )
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000), DIGITS] = Field(
        512, description="How long an answer may become."
    )
    visualize: bool = Field(default=False, description="True: the report comes as an HTML page with a chart.")


class PromptBody(Summary):
    """The runs of one prompt in numbers."""

    prompt: str = Field(examples=["What is the capital of France?"])


class ReportBody(BaseModel):
    """A benchmark. `seconds` is how long it all took."""

    model: str = Field(examples=["openai/gpt-oss-20b:free"])
    runs: int = Field(examples=[5])
    concurrency: int = Field(examples=[5])
    max_tokens: int = Field(examples=[512])
    seconds: float = Field(examples=[1.9])
    overall: Summary
    failure_reasons: Mapping[str, str] = Field(
        description="By `error.code`, why the first call that failed with it did.",
        examples=[{"upstream_timeout": "the upstream did not answer in time"}],
    )
    prompts: list[PromptBody]
    results_file: str = Field(
        description="A CSV file with a row per run, under `BENCHMARKS_DIR` of the service.",
        examples=["benchmarks/benchmark-20260101T120000Z-1f0c9a3e.csv"],
    )


class PastBenchmarks(BaseModel):
    """Benchmarks that have ended, the newest first."""

    items: list[BenchmarkSummary]


BENCHMARK = "benchmark-20260101T120000Z-1f0c9a3e"
FORM_EXAMPLE = {"prompt_file": "What is the capital of France?\nWhy is the sky blue?\n", "runs": 5, "concurrency": 5}
EVENTS_EXAMPLE = (
    'event: progress\ndata: {"done":1,"of":10}\n\nevent: progress\ndata: {"done":10,"of":10}\n\n'
    'event: result\ndata: {"model":"openai/gpt-oss-20b:free","runs":5}\n\n'
)
RESPONSES: dict[int | str, dict[str, Any]] = (
    ASK_ERRORS
    | errors(
        _400="There is no such model, or the form is not well-formed",
        _413="The form or its file is too large",
        _422="A field is wrong or the file is no list of prompts; each is named",
        _503="The upstream or the database cannot be reached, or the results cannot be written; the text says which",
    )
    | refusal(
        415,
        "The body is no form",
        "unsupported_media_type",
        f"this route takes multipart/form-data, not application/json: {FORM_WANTED}",
    )
    | {
        200: {
            "model": ReportBody,
            "description": "The report; with `visualize=true` as an HTML page, with `Accept: text/event-stream` after "
            "events that say how far it is. Calls that failed are counted in it.",
            "content": {
                "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"},
                EVENT_STREAM: {"schema": {"type": "string"}, "example": EVENTS_EXAMPLE},
            },
        }
    }
)


def router(benchmark: Benchmark, authenticator: Authenticator, idempotent: Idempotent, reports: Reports) -> APIRouter:
    """`POST /benchmark`, and past ones at `/v1/benchmarks`."""
    router = APIRouter(tags=["generate"])
    _add_past(router, reports, authenticator)

    @router.post(
        PATH,
        summary="Measure a model with prompts of yours",
        response_model=None,
        responses=RESPONSES,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": _form_schema()},
    )
    async def run_benchmark(request: Request) -> Response:
        """Asks every prompt `runs` times and measures how long answers take. The response comes when all is done;
        hanging up stops it, unless it has an `Idempotency-Key`, and keeps the rows of what was done. At most 10,000
        calls; each counts against your rate. With `Accept: text/event-stream` it says how far it is (`event: progress`,
        `{"done", "of"}`), then sends the report (`event: result`); hanging up then always stops it.

        `curl -s http://localhost:8080/benchmark -F prompt_file=@prompts.txt -F runs=10`"""
        caller = await authenticator.caller(request)
        tenant_id = caller.tenant_id
        plan, form = await _read(request)

        as_events = accepts(request, EVENT_STREAM)

        async def measure(on_run: OnRun) -> ReportBody:
            (report,) = await benchmark.run(tenant_id, [plan], on_run)
            return await _kept(reports, tenant_id, report)

        async def answer() -> Response:
            await authenticator.count_calls(request, caller, plan.calls)
            if as_events:
                return sse_response(await started(measure, plan.calls))
            (report,) = await benchmark.run(tenant_id, [plan])
            body = await _kept(reports, tenant_id, report)
            # In a thread: a report on thousands of prompts would block the event loop for too long.
            return await asyncio.to_thread(_rendered, report, body, form)

        return await idempotent(request, tenant_id, [plan, form], answer, streamed=as_events)

    return router


def _add_past(router: APIRouter, reports: Reports, authenticator: Authenticator) -> None:
    @router.get(
        "/v1/benchmarks", summary="Past benchmarks, newest first", response_model=PastBenchmarks, responses=KEY_ERRORS
    )
    async def list_benchmarks(request: Request) -> Response:
        """Your tenant's of `POST /benchmark`, a hundred at most, kept for `RETENTION_DAYS` on the disk of the process
        that ran them."""
        tenant_id = await authenticator.tenant(request)
        return respond(200, PastBenchmarks(items=list(await reports.list(tenant_id))))

    @router.get(
        "/v1/benchmarks/{name}",
        summary="A past benchmark",
        response_model=ReportBody,
        responses=KEY_ERRORS | not_found(f"there is no benchmark '{BENCHMARK}'"),
    )
    async def get_benchmark(
        request: Request, name: Annotated[str, Path(description="As a list shows it.", examples=[BENCHMARK])]
    ) -> Response:
        """The report, as it was sent."""
        tenant_id = await authenticator.tenant(request)
        return Response(await reports.get(tenant_id, name), 200, None, JSON)


async def _kept(reports: Reports, tenant_id: str, report: Report) -> ReportBody:
    body = await asyncio.to_thread(_body, report)
    summary = BenchmarkSummary(
        name=PurePath(report.results_file).stem,
        model=report.model,
        calls=report.overall.calls,
        failures=report.overall.failures,
        created_at=int(time.time() * 1000),
    )
    await reports.keep(tenant_id, report.results_file, summary, body)
    return body


def _rendered(report: Report, body: ReportBody, form: BenchmarkForm) -> Response:
    if form.visualize:
        return Response(page.render(report), 200, PAGE_HEADERS, "text/html; charset=utf-8")
    return respond(200, body)


async def _read(request: Request) -> tuple[Plan, BenchmarkForm]:
    """Raises InvalidRequest, InvalidField, BodyTooLarge, UnsupportedMediaType; HTTPException for a form that is not
    well-formed."""
    require_form(request, FORM_WANTED)
    async with read_form(request, max_files=1, max_fields=20) as fields:
        file = fields.get("prompt_file")
        texts = {name: value for name, value in fields.items() if isinstance(value, str) and value.strip()}
        texts.pop("prompt_file", None)
        form = _form(texts, missing=not isinstance(file, UploadFile))
        data = await file.read(MAX_FILE_BYTES + 1) if isinstance(file, UploadFile) else b""
    if len(data) > MAX_FILE_BYTES:
        raise BodyTooLarge(f"prompt_file is larger than {MAX_FILE_BYTES} bytes; send fewer prompts")
    try:
        prompts = read_prompts(data)
        return Plan(prompts, form.model, form.runs, form.concurrency, form.max_tokens), form
    except ValueError as error:
        raise InvalidField("prompt_file", f"prompt_file: {error}") from None


def _form(texts: Mapping[str, str], *, missing: bool) -> BenchmarkForm:
    """Raises InvalidRequest with everything that is wrong, also a file that is `missing`."""
    words = f"is missing: {FORM_WANTED}"
    wrong: list[dict[str, Any]] = [{"type": "missing", "loc": ["body", "prompt_file"], "msg": words}] if missing else []
    try:
        form = from_form(texts, BenchmarkForm)
    except InvalidRequest as error:
        raise InvalidRequest(wrong + error.errors) from None
    if wrong:
        raise InvalidRequest(wrong)
    return form


def _body(report: Report) -> ReportBody:
    plan = report.plan
    prompts = zip(plan.prompts, report.prompts, strict=True)
    return ReportBody(
        model=report.model,
        runs=plan.runs,
        concurrency=plan.concurrency,
        max_tokens=plan.max_tokens,
        seconds=round(report.seconds, 4),
        overall=report.overall,
        failure_reasons=report.reasons,
        prompts=[PromptBody(prompt=prompt, **dict(summary)) for prompt, summary in prompts],
        results_file=report.results_file,
    )


def _form_schema() -> dict[str, Any]:
    schema = BenchmarkForm.model_json_schema()
    about = f"UTF-8 text, one prompt a line, at most 1 MiB; prompts x runs may be {MAX_CALLS:,} at most."
    schema["properties"] = {
        "prompt_file": {"type": "string", "format": "binary", "description": about},
        **schema["properties"],
        # A form that is filled in from this must work: any name that stood here would be sent as the model's.
        "model": {"type": "string", "default": "", "description": BenchmarkForm.model_fields["model"].description},
    }
    schema["required"] = ["prompt_file"]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema, "example": FORM_EXAMPLE}}}
