"""Whatever an upstream or the network does, the caller learns a code, whether to try again, and when."""

import asyncio
import gzip
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
from scripting import ask as complete
from vendors import DENIED, NO_ROOM, NOBODY_ALLOWED, Example, error

from answerback.http.upstream import status_of
from answerback.kernel.clock import SystemClock
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeavyWork
from answerback.kernel.provider_error import Concerns, ProviderError
from answerback.llm.errors.failures import LONGEST_OF_HEADERS
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.transport import MAX_RESPONSE_BYTES, NO_TLS, PERHAPS_TLS, TLS
from answerback.llm.transport import REFUSED as CONNECTION_REFUSED
from answerback.testing import replies
from answerback.testing.llm import FakeLLM

NOW = 1_750_000_000_000
QUESTION = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10)
GZIP = {"Content-Encoding": "gzip"}


@dataclass(frozen=True)
class Row:
    name: str
    reply: replies.Reply
    code: ErrorCode
    retryable: bool
    retry_after: float | None = None
    says: str = ""


def limited(name: str, reply: replies.Reply, retry_after: float | None) -> Row:
    return Row(name, reply, ErrorCode.UPSTREAM_RATE_LIMITED, retryable=True, retry_after=retry_after)


def failed(name: str, reply: replies.Reply, says: str = "", wait: float | None = None) -> Row:
    return Row(name, reply, ErrorCode.UPSTREAM_ERROR, retryable=True, retry_after=wait, says=says)


def invalid(name: str, reply: replies.Reply, says: str = "") -> Row:
    return Row(name, reply, ErrorCode.UPSTREAM_INVALID, retryable=True, says=says)


def empty(name: str, reply: replies.Reply, says: str = "is empty") -> Row:
    return Row(name, reply, ErrorCode.UPSTREAM_EMPTY, retryable=True, says=says)


def unreachable(name: str, reply: replies.Reply, says: str) -> Row:
    return Row(name, reply, ErrorCode.UPSTREAM_UNREACHABLE, retryable=True, says=says)


def refused(name: str, reply: replies.Reply, says: str = "") -> Row:
    return final(name, reply, ErrorCode.UPSTREAM_REFUSED, says)


def final(name: str, reply: replies.Reply, code: ErrorCode, says: str = "") -> Row:
    return Row(name, reply, code, retryable=False, says=says)


DATE = formatdate(NOW / 1000, usegmt=True)


def status(code: int, retry_after: str) -> replies.Reply:
    return replies.status(code, headers={"Retry-After": retry_after, "Date": DATE})


def at(date: str, clock: float = NOW / 1000) -> replies.Reply:
    """Asks for 90 seconds by a date of this clock."""
    again = formatdate(clock + 90, usegmt=True)
    return replies.status(429, headers={"Retry-After": again, "Date": date})


def at_an_hour(hours: int) -> replies.Reply:
    clock = NOW / 1000 + 3600 * hours
    return at(formatdate(clock, usegmt=True), clock)


def reset(value: str) -> replies.Reply:
    return replies.status(429, headers={"X-RateLimit-Reset": value})


def of_kinds(left: Mapping[str, str] | None = None, **resets: str) -> replies.Reply:
    named = {f"x-ratelimit-reset-{kind}": value for kind, value in resets.items()}
    return replies.status(429, headers=named | {f"x-ratelimit-remaining-{k}": v for k, v in (left or {}).items()})


def refusal(code: int, word: str) -> replies.Reply:
    return replies.status(code, {"error": {"message": "Bearer sk-secret", "code": word}})


def unpaid(**fields: Any) -> replies.Reply:
    return replies.status(402, {"error": {"code": 402, "message": "pay", **fields}}, {"Retry-After": "3"})


ANTHROPIC_RESETS = {
    "anthropic-ratelimit-requests-reset": datetime.fromtimestamp(NOW / 1000 + 5, UTC).isoformat(),
    "anthropic-ratelimit-input-tokens-reset": datetime.fromtimestamp(NOW / 1000 + 60, UTC).isoformat(),
    "anthropic-ratelimit-requests-remaining": "3",
    "anthropic-ratelimit-input-tokens-remaining": "0",
}
AGAIN_IN_2 = {"error": {"message": "Rate limit reached. Please try again in 2s.", "code": "rate_limit_exceeded"}}
OF_A_DAY = error(
    "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 35325 seconds before retrying."
)
OF_WEEKS = {"error": {"message": "The weekly quota is used up.", "code": "rate_limit_exceeded"}}
IN_FLIGHT = {"reason": "in_flight_budget_exhausted"}
TOO_HEAVY = {"reason": "weight_exceeds_budget"}
IN_AN_HOUR = datetime.fromtimestamp(NOW / 1000 + 3600, UTC)
AT_AN_HOUR = f"Limit reached. Resets at {IN_AN_HOUR:%Y-%m-%d %H:%M:%S} UTC"
NEVER = "Limit reached. Resets at 2026-02-31 02:30:00 UTC"
RESET_LATER = {"headers": {"X-RateLimit-Reset": str(NOW + 30_000)}}
FLAGGED = {"reasons": ["violence"], "flagged_input": "…"}
BLANK_PARTS = [{"type": "image_url", "image_url": {}}, {"type": "text", "text": " "}]

CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"

SWITCHES = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

TABLE = [
    limited("429", replies.status(429), None),
    limited("429 in seconds", status(429, "7"), 7.0),
    limited("429 at once", status(429, "0"), 0.0),
    limited("429 by date", status(429, formatdate(NOW / 1000 + 90, usegmt=True)), 90.0),
    limited("429 by a past date", status(429, formatdate(NOW / 1000 - 90, usegmt=True)), None),
    limited("429 by a clock that is ahead", at_an_hour(+1), 90.0),
    limited("429 by a clock that is behind", at_an_hour(-1), 90.0),
    limited("429 by a date without a clock", at("sometime"), 90.0),
    limited("429 by garbage", status(429, "soon"), None),
    limited("429 by infinity", status(429, "inf"), None),
    limited("429 after a negative time", status(429, "-5"), None),
    limited("429 of an hour", status(429, "3600"), 3_600.0),
    limited("429 of a day by a header alone", status(429, "86400"), LONGEST_OF_HEADERS),
    limited("429 of a day by kinds alone", of_kinds(requests="8h44m"), LONGEST_OF_HEADERS),
    limited("429 of ten hours", replies.status(429, OF_A_DAY, {"Retry-After": "35325"}), 35_325.0),
    limited(
        "429 of a window in ms",
        replies.status(429, headers={"Retry-After": "60000", "X-RateLimit-Reset": "58"}),
        60.0,
    ),
    limited("429 of ages", status(429, "99999999999"), LONGEST_OF_HEADERS),
    limited("429 by a date far away", status(429, "Wed, 30 Nov 2099 18:59:00 GMT"), LONGEST_OF_HEADERS),
    limited("429 of two days by a header alone", status(429, "172800"), LONGEST_OF_HEADERS),
    limited("429 of two days", replies.status(429, OF_WEEKS, {"Retry-After": "172800"}), 172_800.0),
    failed("503 of ages", status(503, "99999999999"), wait=LONGEST_OF_HEADERS),
    limited("429 with a reset", reset(str(NOW + 12_500)), 12.5),
    limited("429 with a reset in the past", reset(str(NOW - 1)), None),
    limited("429 with a reset in seconds", reset(str(NOW // 1000 + 5)), NOW // 1000 + 5 - NOW / 1000),
    limited("429 with a reset after seconds", reset("7"), 7.0),
    limited("429 with a reset in nonsense", reset("tomorrow"), None),
    limited(
        "429 with both",
        replies.status(429, headers={"Retry-After": "2", "X-RateLimit-Reset": str(NOW + 60_000)}),
        2.0,
    ),
    limited("429 of tokens", of_kinds(requests="6m0s", tokens="20ms", left={"requests": "59", "tokens": "0"}), 0.02),
    limited("429 of requests", of_kinds(requests="6m0s", tokens="20ms", left={"requests": "0", "tokens": "9"}), 360.0),
    limited("429 of both", of_kinds(requests="1s", tokens="6.5s", left={"requests": "0", "tokens": "0"}), 6.5),
    limited("429 of either", of_kinds(requests="2m59.56s", tokens="7.66s"), 7.66),
    limited("429 of a minute and a day", of_kinds(**{"requests-day": "33011.38", "tokens-minute": "11.38"}), 11.38),
    limited("429 of kinds in nonsense", of_kinds(requests="soon", tokens="-1"), None),
    limited("429 of Anthropic's kinds", replies.status(429, headers=ANTHROPIC_RESETS), 60.0),
    limited("429 of kinds in words too", replies.status(429, AGAIN_IN_2, {"x-ratelimit-reset-tokens": "9s"}), 2.0),
    limited("429 until a second since 1970", replies.status(429, {"error": {"resets_at": NOW // 1000 + 40}}), 40.0),
    limited("429 until a millisecond", replies.status(429, {"error": {"resets_at": NOW + 40_000}}), 40.0),
    limited("429 until the past", replies.status(429, {"error": {"resets_at": NOW // 1000 - 40}}), None),
    limited("429 until another year", replies.status(429, {"error": {"resets_at": NOW // 1000 * 2}}), None),
    limited("429 until a time", replies.status(429, {"error": {"reset_time": IN_AN_HOUR.isoformat()}}), 3600.0),
    limited("429 with a time in words", replies.status(429, {"error": {"message": AT_AN_HOUR}}), 3600.0),
    limited("429 with no time in words", replies.status(429, {"error": {"message": NEVER}}), None),
    limited("429 of a prefix", replies.status(429, headers={"x-acme2-ratelimit-reset": "30"}), 30.0),
    limited("429 of a hyphen", replies.status(429, headers={"X-Rate-Limit-Reset": str(NOW // 1000 + 30)}), 30.0),
    limited("429 by the draft", replies.status(429, headers={"RateLimit": "limit=9, remaining=0, reset=50"}), 50.0),
    limited("429 by the later draft", replies.status(429, headers={"RateLimit": '"default";r=0;t=30'}), 30.0),
    failed("503 beside kinds", replies.status(503, headers={"x-ratelimit-reset-tokens": "9s"})),
    limited("429 in a 200", replies.error_in_200(429), None),
    limited("429 as text in a 200", replies.error_in_200("429"), None),
    limited("429 as a word in a 200", replies.error_in_200("rate_limit_exceeded"), None),
    limited("429 in a 200 with OpenRouter's reset", replies.error_in_200(429, metadata=RESET_LATER), 30.0),
    limited("429 in a 200 with odd metadata", replies.error_in_200(429, metadata={"headers": [1]}), None),
    limited("402 in flight", unpaid(metadata=IN_FLIGHT), 3.0),
    limited("402 in flight, by message", unpaid(message="in_flight_budget_exhausted"), 3.0),
    limited("402 in flight in a 200", replies.error_in_200(402, metadata=IN_FLIGHT), None),
    final("402", unpaid(), ErrorCode.UPSTREAM_CREDIT, "no credit"),
    final("402 in a 200", replies.error_in_200(402), ErrorCode.UPSTREAM_CREDIT, "no credit"),
    final("402 too heavy", unpaid(metadata=TOO_HEAVY), ErrorCode.UPSTREAM_CREDIT, "whole budget"),
    final("401", replies.status(401), ErrorCode.UPSTREAM_AUTH, "API key"),
    final("403", replies.status(403), ErrorCode.UPSTREAM_AUTH),
    final("401 in a 200", replies.error_in_200("invalid_api_key"), ErrorCode.UPSTREAM_AUTH, "invalid_api_key"),
    final(
        "403 over budget",
        replies.status(403, {"error": {"metadata": {"limit_source": "openrouter_key_limit"}}}),
        ErrorCode.UPSTREAM_CREDIT,
        "limit",
    ),
    final("403 region", refusal(403, "unsupported_country_region_territory"), ErrorCode.UPSTREAM_AUTH, "or region"),
    final("403 firewall", replies.status(403, CHALLENGE), ErrorCode.UPSTREAM_AUTH, "firewall"),
    refused("403 moderation", replies.status(403, {"error": {"metadata": FLAGGED}}), "moderation"),
    refused("400", replies.status(400), "scripted 400"),
    refused("400 without a reason", replies.status(400, {}), "with 400; check the model's name and the parameters"),
    refused("400 by a word", refusal(400, "context_length_exceeded"), "Bearer [redacted]"),
    refused("400 by a sentence", refusal(400, "The key sk-secret is bad"), "Bearer [redacted]"),
    refused("400 by its own number", replies.status(400, {"error": {"code": "400"}}), "with 400; check"),
    refused("404", refusal(404, "model_not_found"), "Bearer [redacted]"),
    refused("404 without a reason", replies.status(404, {"error": {"code": "model_not_found"}}), "model_not_found; ch"),
    refused("404, a page", replies.status(404, b"<html>Not Found</html>"), "/v1"),
    refused("404, nothing", replies.status(404, b""), "/v1"),
    refused("413", replies.status(413, {"error": {}}), "too long"),
    refused("418", replies.status(418), "418"),
    refused("422", replies.status(422)),
    refused("400 in a 200", replies.error_in_200("context_length_exceeded"), "scripted"),
    refused("302", replies.status(302, headers={"Location": "/v1/chat/completions"}), "redirects"),
    refused("306", replies.status(306), "redirects"),
    invalid("101", replies.babble(SWITCHES), "not valid HTTP"),
    refused("307", replies.status(307, headers={"Location": "/v1/chat/completions"}), "base URL"),
    refused("filtered", replies.message(None, "content_filter"), "filter"),
    failed("408", replies.status(408)),
    failed("409", replies.status(409)),
    failed("425", replies.status(425)),
    failed("500", replies.status(500), "500"),
    failed("502", replies.status(502)),
    failed("503 in seconds", status(503, "11"), wait=11.0),
    failed("503 in ms", replies.status(503, headers={"retry-after-ms": "250", "Retry-After": "1"}), wait=0.25),
    failed("503 in odd ms", replies.status(503, headers={"retry-after-ms": "soon", "Retry-After": "1"}), wait=1.0),
    failed("503 with another's reset", replies.status(503, headers={"X-RateLimit-Reset": str(NOW + 1000)})),
    failed("529", replies.status(529)),
    failed("500, not JSON", replies.status(500, b"<html>sk-secret</html>")),
    failed("500, a list", replies.status(500, [1])),
    failed("500 in a 200", replies.error_in_200(500)),
    failed("503 in a 200", replies.error_in_200(503, metadata={"headers": {"retry-after": 4}}), wait=4.0),
    failed("unknown word in a 200", replies.error_in_200("oops"), "error in place"),
    failed("odd code in a 200", replies.error_in_200([429])),
    failed("truth as code in a 200", replies.error_in_200(code=True)),
    failed("success as code in a 200", replies.error_in_200(200)),
    failed("huge code in a 200", replies.error_in_200(10**30)),
    failed("no code in a 200", replies.error_in_200(None)),
    failed("text for an error", replies.status(200, {"error": "sk-secret"})),
    failed("error beside choices", replies.completion(error={"code": 502})),
    failed("finished by an error", replies.message("half an ans", "error")),
    failed("error in a choice", replies.completion(choices=[{"error": {"code": 503}}]), "503"),
    empty("null", replies.message(None)),
    empty("no text", replies.message("")),
    empty("whitespace", replies.message(" \n\t\u2003")),
    empty("only NULs", replies.message("\0\0")),
    empty("no parts", replies.message([])),
    final("an image", replies.message(BLANK_PARTS), ErrorCode.UPSTREAM_EMPTY, "no text, but an image"),
    final("a sound", replies.message(None, audio={"data": "AA=="}), ErrorCode.UPSTREAM_EMPTY, "no text, but an image"),
    final("images", replies.message("", images=[{"type": "image_url"}]), ErrorCode.UPSTREAM_EMPTY, "no text"),
    empty("thoughts in parts", replies.message([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])),
    invalid("null", replies.raw(b" null\n"), "is not a JSON object"),
    invalid("a text", replies.raw(b'"Hello"'), "is not a JSON object"),
    invalid("a number", replies.raw(b"1"), "is not a JSON object"),
    final("all tokens spent", replies.message("", "length"), ErrorCode.UPSTREAM_EMPTY, "max_tokens"),
    invalid("broken JSON", replies.raw(b'{"choices": [{"mess'), "JSON"),
    invalid("not JSON", replies.raw(b"Ollama is running"), "is not JSON; check the base URL"),
    invalid("a web page", replies.raw(b"<!DOCTYPE html><html>OK</html>"), "web page, not JSON; check the base URL"),
    invalid("nothing", replies.raw(b"")),
    invalid("not UTF-8", replies.raw(b'{"choices": "\xff"}')),
    invalid("UTF-16", replies.raw('{"choices": []}'.encode("utf-16"))),
    invalid("too deep", replies.raw(b"[" * 100_000)),
    invalid("an endless number", replies.raw(b"9" * 5_000)),
    invalid("a list", replies.status(200, [])),
    invalid("null document", replies.status(200, b"null")),
    invalid("no choices", replies.status(200, {"id": "x"}), "no choices"),
    invalid("empty choices", replies.completion(choices=[])),
    invalid("odd choices", replies.completion(choices={"0": {}})),
    invalid("odd choice", replies.completion(choices=["hi"])),
    invalid("no message", replies.completion(choices=[{"index": 0}]), "no message"),
    invalid("odd message", replies.completion(choices=[{"message": "hi"}])),
    invalid("content is a number", replies.message(42), "no text"),
    invalid("content is a truth", replies.message(content=True), "no text"),
    invalid("odd part", replies.message([7])),
    invalid("oversized", replies.oversized(), str(MAX_RESPONSE_BYTES)),
    invalid("gzip bomb", replies.raw(gzip.compress(bytes(32 * 1024 * 1024)), GZIP), str(MAX_RESPONSE_BYTES)),
    invalid("false gzip", replies.raw(b"not gzip at all", GZIP), "decompressed"),
    invalid("not HTTP", replies.babble(), "HTTP"),
    invalid("endless header", replies.raw(b"{}", {"X-Large": "x" * 100_000}), "HTTP"),
    unreachable("closed before", replies.hang_up(), "closed the connection"),
    invalid("closed amid", replies.break_off(), "broke off"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_every_failure_says_what_to_do_next(row: Row, llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(row.reply)

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    error = raised.value
    assert (error.failure.code, error.retryable) == (row.code, row.retryable)
    assert error.retry_after == (None if row.retry_after is None else pytest.approx(row.retry_after))
    assert row.says in error.failure.message
    assert error.__cause__ is None, "aiohttp's errors carry the request's headers, and so the key"
    assert "sk-secret" not in "".join(traceback.format_exception(error))
    assert llm.total == 1, "the provider itself must never try again"


async def test_an_upstream_that_hangs_is_left_in_time(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.hang())

    with pytest.raises(ProviderError) as raised:
        await complete(provider, ChatRequest(QUESTION.body, timeout=0.05))

    assert (raised.value.failure.code, raised.value.retryable) == (ErrorCode.UPSTREAM_TIMEOUT, True)
    await llm.wait_for_disconnects(1)


async def test_cancelling_hangs_up_on_the_upstream(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.hang())
    call = asyncio.create_task(complete(provider, QUESTION))
    await llm.wait_for_calls(1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await llm.wait_for_disconnects(1)
    assert llm.active == 0


async def ask(base_url: str, connect_timeout: float = 5.0) -> ProviderError:
    provider = OpenAICompatible(base_url, "sk-secret", "m", connect_timeout, now=SystemClock().now, heavy=HeavyWork())
    try:
        with pytest.raises(ProviderError) as raised:
            await complete(provider, QUESTION)
    finally:
        await provider.close()
    assert raised.value.failure.code is ErrorCode.UPSTREAM_UNREACHABLE
    assert raised.value.retryable
    return raised.value


async def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))

        error = await ask(f"http://127.0.0.1:{held.getsockname()[1]}/v1")

    assert "could not be connected" in error.failure.message
    assert error.for_operator == f"{error.base_url} {CONNECTION_REFUSED}"


async def test_a_name_without_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    error = await ask("http://llm.invalid/v1")

    assert "no address" in error.failure.message


async def test_an_upstream_without_tls_is_unreachable_over_https(llm: FakeLLM) -> None:
    error = await ask(llm.base_url.replace("http:", "https:"))

    assert "TLS" in error.failure.message
    assert error.for_operator == f"{error.base_url} {NO_TLS}"
    assert llm.total == 0


@pytest.mark.parametrize(
    ("said", "remark"), [(b"\x15\x03\x01\x00\x02\x02\x46", TLS), (b"", PERHAPS_TLS)], ids=["an alert", "nothing"]
)
async def test_plain_http_at_a_port_of_tls_says_what_it_probably_is(said: bytes, remark: str, llm: FakeLLM) -> None:
    llm.then(replies.babble(said))

    error = await ask(llm.base_url)

    assert error.for_operator == f"{error.base_url} {remark}"
    assert "https://" in error.for_operator


async def test_a_web_servers_page_about_tls_is_no_refusal_of_the_request(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    page = b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"
    llm.then(replies.status(400, page, {"Content-Type": "text/html"}))

    with pytest.raises(ProviderError) as caught:
        await provider.send(ChatRequest({"messages": []}, 5))

    error = caught.value
    assert error.for_operator == f"{error.base_url} speaks TLS at this port; its base URL should begin with https://"
    assert (error.shown_status, error.elsewhere) == (502, True)


async def test_connecting_has_a_timeout_of_its_own() -> None:
    """Given a server that accepts and never shakes hands, the call's own ten seconds are not waited for."""
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        error = await ask(f"https://127.0.0.1:{port}/v1", connect_timeout=0.05)

        await asyncio.wait_for(gone.wait(), 5)
    assert "within 0.05 s" in error.failure.message


async def test_a_request_that_is_not_json_is_refused_before_it_costs_anything(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    body = {**QUESTION.body, "temperature": float("nan")}

    with pytest.raises(ProviderError) as raised:
        await complete(provider, ChatRequest(body, timeout=5))

    assert (raised.value.failure.code, raised.value.retryable) == (ErrorCode.UPSTREAM_REFUSED, False)
    assert llm.total == 0


@pytest.mark.parametrize("denied", DENIED, ids=str)
async def test_a_model_that_the_account_may_not_use_is_the_operators_trouble(
    denied: Example, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.status(denied.status, denied.raw))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    error = raised.value
    assert (error.failure.code, status_of(error)) == (ErrorCode.UPSTREAM_AUTH, 502)
    assert (error.concerns, error.elsewhere) == (Concerns.MODEL, True), "its other models answer, and so do others"
    assert error.failure.message.startswith("the provider's account has no access to this model"), "not whose it is"
    assert error.reason


@pytest.mark.parametrize("example", NOBODY_ALLOWED, ids=str)
async def test_the_settings_of_the_account_are_not_shown_to_a_caller(
    example: Example, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.status(example.status, example.raw))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    error = raised.value
    assert (error.failure.code, error.concerns, error.elsewhere) == (ErrorCode.UPSTREAM_AUTH, Concerns.MODEL, True)
    assert "openrouter" not in error.failure.message
    assert error.reason == example.body["error"]["message"], "the operator's log has the link"


async def test_whatever_a_404_did_not_find_another_provider_may_have(llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.status(404, {"error": "Repository Not Found for url: https://x/api/models/m"}))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    error = raised.value
    assert (error.failure.code, error.elsewhere, error.concerns) == (ErrorCode.UPSTREAM_REFUSED, True, Concerns.REQUEST)
    assert status_of(error) == 400, "OpenAI's clients would take a 404 for the model's"


@pytest.mark.parametrize("said", ["Deployment of org-abc123 is not implemented", NO_ROOM[0]])
@pytest.mark.parametrize("status", [500, 501])
async def test_trouble_within_the_upstream_is_tried_again_and_not_shown(
    said: str, status: int, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.status(status, {"error": said}))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    error = raised.value
    assert (error.failure.code, error.retryable, status_of(error)) == (ErrorCode.UPSTREAM_ERROR, True, 502)
    assert said not in error.failure.message
    assert error.reason == said


@pytest.mark.parametrize("at", [1_990, 3_985])
async def test_a_key_that_stands_where_a_reason_is_cut_is_not_shown_in_part(
    at: int, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """Given a reason that is cut while it is read, or when it is shown; the key is `sk-secret`."""
    why = "sk-secret " * 150 + " " * (at - 1_500) + "x" * 10 + "sk-secret"
    llm.then(replies.status(400, {"error": {"message": why}}))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    assert "sk-s" not in raised.value.failure.message


@pytest.mark.parametrize(
    "said",
    [
        {"code": 400, "type": "exceed_context_size_error", "message": "no room"},
        {"code": 400, "message": "This endpoint's maximum context length is 9 tokens. However, you requested 20."},
        {"code": "3051", "message": "Prompt contains 20 tokens, too large for model with 9 maximum context length"},
        {"code": 400, "type": "BadRequestError", "message": "This model's maximum context length is 9 tokens."},
        {"code": "invalid_request_error", "message": "Too long. This model's maximum context length is 9 tokens."},
    ],
    ids=["llama.cpp", "OpenRouter", "Mistral", "vLLM", "DeepSeek"],
)
async def test_a_context_that_is_too_long_has_the_words_that_clients_look_for(
    said: dict[str, object], llm: FakeLLM, provider: OpenAICompatible
) -> None:
    """LiteLLM 1.110 (and aider by it) looks for OpenAI's sentence, langchain-openai 1.7 for its code in the message."""
    llm.then(replies.status(400, {"error": said}))

    with pytest.raises(ProviderError) as raised:
        await complete(provider, QUESTION)

    shown = raised.value.failure.message
    assert shown.endswith(f": {said['message']}")
    assert "this model's maximum context length is" in shown.lower()
    assert "context_length_exceeded" in shown
