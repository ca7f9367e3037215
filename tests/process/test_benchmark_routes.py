"""Benchmarks over real HTTP: the report, its file, and what can go wrong."""

import asyncio
import csv
import io
import json
import statistics
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from answerback.testing.service import Service
from troubles import SECRET, chunk, sse, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
SPREAD = {"avg", "min", "max", "std_dev", "p50", "p95"}
SUMMARY = {"calls", "failures", "failure_codes", "retries", "tokens"}
MEASURES = {"latency", "time_to_first_token", "tokens_per_second"}


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"MAX_RETRIES": "1", "MIN_RETRY_DELAY": "0.01", "MAX_RETRY_DELAY": "0.05"}


def form(prompts: str | bytes | None, **fields: Any) -> aiohttp.FormData:
    made = aiohttp.FormData(default_to_multipart=True)
    if prompts is not None:
        data = prompts.encode() if isinstance(prompts, str) else prompts
        made.add_field("prompt_file", io.BytesIO(data), filename="prompts.txt", content_type="text/plain")
    for name, value in fields.items():
        made.add_field(name, str(value))
    return made


async def bench(http: aiohttp.ClientSession, prompts: str | bytes | None, **fields: Any) -> tuple[int, Any]:
    async with http.post("/benchmark", data=form(prompts, **fields)) as response:
        return response.status, await response.json()


def rows(service: Service, report: Any) -> list[dict[str, str]]:
    with (service.folder / report["results_file"]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(service: Service) -> set[Path]:
    return set((service.folder / "benchmarks").glob("*.csv"))


async def test_a_report_has_the_numbers_of_all_and_of_each_prompt(
    http: aiohttp.ClientSession, service: Service, llm: FakeLLM
) -> None:
    status, report = await bench(http, "first\r\n\nsecond\n", model="vendor/large:free", runs=3, max_tokens=9)

    assert status == 200
    assert (report["model"], report["runs"]) == ("vendor/large:free", 3)
    assert (report["concurrency"], report["max_tokens"]) == (5, 9)
    assert [each["prompt"] for each in report["prompts"]] == ["first", "second"]
    for summary, calls in ((report["overall"], 6), *((each, 3) for each in report["prompts"])):
        assert set(summary) - {"prompt"} == SUMMARY | MEASURES
        assert (summary["calls"], summary["failures"], summary["failure_codes"], summary["retries"]) == (
            calls,
            0,
            {},
            0,
        )
        for measure in MEASURES:
            spread = summary[measure]
            assert set(spread) == SPREAD
            assert 0 < spread["min"] <= spread["p50"] <= spread["p95"] <= spread["max"]
        assert summary["time_to_first_token"]["avg"] <= summary["latency"]["avg"]
    asked = llm.calls[-6:]
    assert {(call.user, call.model, call.body["max_tokens"], call.streamed) for call in asked} == {
        ("first", "vendor/large:free", 9, True),
        ("second", "vendor/large:free", 9, True),
    }


async def test_the_file_has_a_row_per_run_and_agrees_with_the_report(
    http: aiohttp.ClientSession, service: Service
) -> None:
    _, report = await bench(http, "first\nsecond", runs=4)

    stored = rows(service, report)
    assert Path(report["results_file"]).parent == Path("benchmarks")
    assert sorted((row["prompt"], row["run"]) for row in stored) == [
        (prompt, str(run)) for prompt in ("first", "second") for run in range(1, 5)
    ]
    assert {(row["status"], row["error_code"], row["tries"], row["answered_by"]) for row in stored} == {
        ("ok", "", "1", "fake")
    }
    assert {row["model"] for row in stored} == {"fake"}, "the default is what was asked"
    for summary, chosen in (
        (report["overall"], stored),
        (report["prompts"][1], [row for row in stored if row["prompt_number"] == "2"]),
    ):
        for measure, column in (
            ("latency", "latency_seconds"),
            ("time_to_first_token", "first_token_seconds"),
            ("tokens_per_second", "tokens_per_second"),
        ):
            values = [float(row[column]) for row in chosen]
            assert summary[measure]["avg"] == pytest.approx(statistics.fmean(values), rel=1e-3)
            assert summary[measure]["std_dev"] == pytest.approx(statistics.stdev(values), rel=1e-2, abs=1e-5)
            assert summary[measure]["p50"] == pytest.approx(statistics.median(values), rel=1e-3)


async def test_benchmarks_at_once_have_files_of_their_own(http: aiohttp.ClientSession, service: Service) -> None:
    done = await asyncio.gather(*(bench(http, f"prompt {n}", runs=1) for n in range(10)))

    assert len({report["results_file"] for _, report in done}) == 10
    for n, (_, report) in enumerate(done):
        assert [row["prompt"] for row in rows(service, report)] == [f"prompt {n}"]


async def test_failures_are_counted_by_code_and_stop_nothing(
    http: aiohttp.ClientSession, service: Service, llm: FakeLLM
) -> None:
    llm.on("refused", replies.status(400, {"error": {"message": f"no such parameter, {SECRET}"}}))
    llm.on("broken", replies.stream(sse(chunk(""), done=False), "broken"))

    status, report = await bench(http, "good\nrefused\nbroken", runs=2)

    assert status == 200
    assert (report["overall"]["calls"], report["overall"]["failures"], report["overall"]["retries"]) == (6, 4, 2)
    assert report["overall"]["failure_codes"] == {"upstream_refused": 2, "upstream_unreachable": 2}
    assert report["failure_reasons"].keys() == report["overall"]["failure_codes"].keys()
    assert report["failure_reasons"]["upstream_refused"] == "no such parameter, [redacted]"
    good, refused, broken = report["prompts"]
    assert (good["failures"], refused["failures"], refused["latency"]) == (0, 2, None)
    assert (broken["retries"], broken["tokens_per_second"]) == (2, None)
    stored = rows(service, report)
    assert {row["error_message"] for row in stored} == {"", *report["failure_reasons"].values()}
    assert {(row["prompt"], row["error_code"], row["tries"], row["latency_seconds"] != "") for row in stored} == {
        ("good", "", "1", True),
        ("refused", "upstream_refused", "1", False),
        ("broken", "upstream_unreachable", "2", False),
    }
    assert SECRET not in service.logs


async def test_a_retry_is_counted_and_its_run_succeeds(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on("stumbles", replies.status(503), replies.say("there it is"))

    _, report = await bench(http, "stumbles", runs=1)

    assert (report["overall"]["failures"], report["overall"]["retries"]) == (0, 1)


async def test_no_more_are_asked_at_once_than_wanted(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    opened = asyncio.Event()
    llm.on("crowded", replies.hang(opened))
    before, llm.peak = llm.total, 0
    running = asyncio.create_task(bench(http, "crowded", runs=12, concurrency=3))
    await llm.wait_for_calls(before + 3)
    opened.set()

    assert (await running)[1]["overall"]["calls"] == 12
    assert llm.peak == 3


HOSTILE_PROMPT = '=HYPERLINK("http://evil.example"),<script>alert("prompt")</script>'
HOSTILE_ANSWER = '@SUM(A1);-1+1\n<img src=x onerror=alert(1)>, "quoted"\r\n</table></svg><script>alert(2)</script>'


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_shows_what_others_wrote_as_text(http: aiohttp.ClientSession, llm: FakeLLM) -> None:
    llm.on(HOSTILE_PROMPT, replies.say(HOSTILE_ANSWER))

    async with http.post("/benchmark", data=form(HOSTILE_PROMPT, runs=2, visualize="true")) as response:
        html = await response.text()

    assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    seen = Seen(html)
    assert {"script", "img", "link", "iframe"}.isdisjoint(seen.tags)
    assert seen.tags.count("table") == 1
    assert "svg" in seen.tags
    assert {"src", "href", "onerror", "style"}.isdisjoint(seen.attributes)
    assert HOSTILE_PROMPT in seen.text
    assert HOSTILE_ANSWER.replace("\r", "\N{REPLACEMENT CHARACTER}") in seen.text


async def test_the_file_opens_inert_in_a_spreadsheet(
    http: aiohttp.ClientSession, service: Service, llm: FakeLLM
) -> None:
    llm.on(HOSTILE_PROMPT, replies.say(HOSTILE_ANSWER))

    _, report = await bench(http, HOSTILE_PROMPT, runs=1)

    (row,) = rows(service, report)
    assert row["prompt"] == "'" + HOSTILE_PROMPT
    assert row["answer"] == "'" + HOSTILE_ANSWER.replace(";-1", ";'-1")
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_hanging_up_stops_the_calls_and_keeps_the_rows(
    http: aiohttp.ClientSession, service: Service, llm: FakeLLM
) -> None:
    llm.on("slow one", replies.hang())
    earlier, gone, asked = files(service), llm.disconnects, llm.total
    prompts = "quick one\nslow one\nslow one\nslow one\nnever asked"
    running = asyncio.create_task(bench(http, prompts, runs=1, concurrency=3))
    await llm.wait_for_calls(asked + 4)

    running.cancel()
    await llm.wait_for_disconnects(gone + 3)

    async with asyncio.timeout(10):
        while "benchmark_stopped" not in service.logs:
            async with http.get("/healthz") as response:
                assert response.status == 200
    assert (llm.total, llm.count("never asked")) == (asked + 4, 0)
    (file,) = files(service) - earlier
    assert [row["prompt"] for row in rows(service, {"results_file": file})] == ["quick one"]


@pytest.mark.parametrize(
    ("prompts", "fields", "named"),
    [
        (None, {}, ["prompt_file"]),
        ("", {}, ["prompt_file"]),
        (" \n\n", {}, ["prompt_file"]),
        (b"good\n\xff\xfe", {}, ["prompt_file"]),
        ("a\0b", {}, ["prompt_file"]),
        ("x" * 32_001, {}, ["prompt_file"]),
        ("x\n" * 1001, {"runs": 10}, ["prompt_file"]),
        ("x", {"runs": 0}, ["runs"]),
        ("x", {"runs": 101}, ["runs"]),
        ("x", {"runs": "many"}, ["runs"]),
        ("x", {"concurrency": 0}, ["concurrency"]),
        ("x", {"concurrency": 101}, ["concurrency"]),
        ("x", {"max_tokens": 0}, ["max_tokens"]),
        ("x", {"visualize": "perhaps"}, ["visualize"]),
        ("x", {"model": "m" * 257}, ["model"]),
        ("x", {"modle": "fake"}, ["modle"]),
        (None, {"runs": 0, "concurrency": "x"}, ["prompt_file", "runs", "concurrency"]),
    ],
)
async def test_what_is_wrong_is_named_and_nobody_is_asked(
    http: aiohttp.ClientSession,
    service: Service,
    llm: FakeLLM,
    prompts: str | bytes | None,
    fields: dict[str, Any],
    named: list[str],
) -> None:
    before = llm.total, files(service)

    status, problem = await bench(http, prompts, **fields)

    assert (status, problem["error"]["code"]) == (422, "validation_error")
    assert [each["loc"] for each in problem["detail"]] == [["body", name] for name in named]
    assert all(name in problem["error"]["message"] for name in named)
    assert (llm.total, files(service)) == before


async def test_blank_fields_are_not_set(http: aiohttp.ClientSession) -> None:
    status, report = await bench(http, "x", model="", runs="", visualize="")

    assert (status, report["runs"], report["model"]) == (200, 5, "fake")


@pytest.mark.parametrize(("size", "status"), [(MIB, 200), (MIB + 1, 413)])
async def test_a_file_may_have_one_mebibyte(http: aiohttp.ClientSession, size: int, status: int) -> None:
    lines = b"".join(b"x" * 31_999 + b"\n" for _ in range(size // 32_000 + 1))[:size]

    answered, body = await bench(http, lines, runs=1)

    assert answered == status
    if status == 413:
        assert body["error"]["code"] == "body_too_large"
        assert "prompt_file" in body["detail"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/json", 415), ("multipart/form-data", 400), ("multipart/form-data; boundary=x", 400)],
)
async def test_what_is_no_form_is_refused(http: aiohttp.ClientSession, kind: str, status: int) -> None:
    sent = {"Content-Type": kind}
    async with http.post("/benchmark", data=b"--y\r\nwhat is this", headers=sent) as response:
        problem = await response.json()

    assert response.status == status
    assert problem["error"]["message"]


async def test_a_model_that_is_not_there_is_refused(
    http: aiohttp.ClientSession, service: Service, llm: FakeLLM
) -> None:
    before = llm.total, files(service)

    status, problem = await bench(http, "x", model="nobody/knows")

    assert (status, problem["error"]["code"]) == (400, "model_not_found")
    assert (llm.total, files(service)) == before


async def test_others_are_served_while_a_large_benchmark_runs(http: aiohttp.ClientSession) -> None:
    prompts = "\n".join(f"large {n}" for n in range(1500))
    running = asyncio.create_task(bench(http, prompts, runs=1, concurrency=50))
    waits = []
    while not running.done():
        started = time.perf_counter()
        async with http.get("/healthz") as response:
            assert response.status == 200
        waits.append(time.perf_counter() - started)

    status, report = await running
    assert (status, report["overall"]["calls"], len(report["prompts"])) == (200, 1500, 1500)
    assert len(waits) > 3
    *others, longest = sorted(waits)
    assert others[-1] < 1
    # A machine may stand still for a second or two by itself.
    assert longest < 5


async def test_results_that_cannot_be_written_are_refused_before_anybody_is_asked(llm: FakeLLM, tmp_path: Path) -> None:
    (tmp_path / "benchmarks").write_text("a file, not a folder")
    asked = llm.total
    async with (
        Service(upstream(llm.base_url), folder=tmp_path) as service,
        aiohttp.ClientSession(service.url) as http,
    ):
        status, problem = await bench(http, "x")

    assert (status, problem["error"]["code"]) == (503, "results_unwritable")
    assert "BENCHMARKS_DIR" in problem["detail"]
    assert llm.total == asked


async def test_no_text_and_no_traceback_is_logged(service: Service) -> None:
    assert "Traceback" not in service.logs
    assert "HYPERLINK" not in service.logs
    assert "quick one" not in service.logs


async def events_of(response: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    blocks = (await response.text()).split("\n\n")
    lines = [block.split("\n") for block in blocks if block.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines]


async def test_its_progress_is_shown_as_events_and_then_its_report(
    http: aiohttp.ClientSession, service: Service
) -> None:
    accept = {"Accept": "text/event-stream"}
    async with http.post("/benchmark", data=form("one\ntwo\n", runs=3, concurrency=1), headers=accept) as response:
        assert response.headers["content-type"] == "text/event-stream"
        *progress, (last, report) = await events_of(response)

    assert {name for name, _ in progress} == {"progress"}
    done = [each["done"] for _, each in progress]
    assert done == sorted(set(done))
    assert (done[-1], {each["of"] for _, each in progress}) == (6, {6})
    assert (last, report["overall"]["calls"]) == ("result", 6)
    assert len(rows(service, report)) == 6


async def test_past_ones_are_listed_and_shown_as_they_were_sent(http: aiohttp.ClientSession) -> None:
    _, report = await bench(http, "one\ntwo\n", runs=2)

    listed = (await (await http.get("/v1/benchmarks")).json())["items"]

    newest = listed[0]
    assert (newest["model"], newest["calls"], newest["failures"]) == (report["model"], 4, 0)
    assert f"benchmarks/{newest['name']}.csv" == report["results_file"]
    assert await (await http.get(f"/v1/benchmarks/{newest['name']}")).json() == report
    assert (await http.get("/v1/benchmarks/benchmark-20260101T120000Z-00000000")).status == 404


async def test_what_keeps_it_from_starting_is_a_status_also_where_events_were_asked_for(
    http: aiohttp.ClientSession,
) -> None:
    accept = {"Accept": "text/event-stream"}
    async with http.post("/benchmark", data=form("x", model="nobody/knows"), headers=accept) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "model_not_found")
