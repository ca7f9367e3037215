"""Connections to a provider: one that closed in the meantime, and one that sends anything but an answer."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any, cast

import pytest
from scripting import ask

from answerback.kernel.allowance import Allowance
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HEAVY_BYTES, HeavyWork, HeldBytes
from answerback.kernel.provider_error import ProviderError
from answerback.llm.model import ChatRequest
from answerback.llm.openai_compatible import OpenAICompatible
from answerback.llm.transport import OpenResponse
from answerback.testing import replies
from answerback.testing.llm import FakeLLM
from scarcity import without_descriptors

HI = ChatRequest({"messages": [{"role": "user", "content": "hi"}]}, timeout=10)


async def test_a_call_over_a_connection_that_closed_in_the_meantime_is_made_again_once(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    # Given a provider that closes a connection as a second call comes over it
    llm.then(replies.echo(), replies.hang_up())
    await ask(provider, HI)
    # When a second call is made
    await ask(provider, HI)
    # Then it was made over a new connection
    assert (llm.total, len(llm.connections)) == (3, 2)


async def test_a_provider_that_closes_a_new_connection_too_is_unreachable(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.echo(), replies.hang_up(), replies.hang_up())
    await ask(provider, HI)
    with pytest.raises(ProviderError, match="closed the connection") as error:
        await ask(provider, HI)
    assert error.value.failure.code == ErrorCode.UPSTREAM_UNREACHABLE
    assert llm.total == 3


async def test_a_connection_that_closes_within_a_response_is_not_called_again(
    llm: FakeLLM, provider: OpenAICompatible
) -> None:
    llm.then(replies.echo(), replies.babble(b"HTTP/1.1 200 OK\r\n"))
    await ask(provider, HI)
    with pytest.raises(ProviderError):
        await ask(provider, HI)
    assert llm.total == 2


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 300_000 + b"\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000,
    ],
    ids=["interim responses", "headers", "an extension of a chunk", "chunks of one byte"],
)
async def test_more_framing_than_content_ends_the_call(said: bytes, llm: FakeLLM, provider: OpenAICompatible) -> None:
    llm.then(replies.babble(said))
    with pytest.raises(ProviderError, match="more headers and framing") as error:
        await ask(provider, HI)
    assert error.value.failure.code == ErrorCode.UPSTREAM_INVALID


async def test_an_answer_in_chunks_of_one_byte_is_whole(llm: FakeLLM, provider: OpenAICompatible) -> None:
    body = b'{"choices": [{"message": {"content": "' + b"x" * 8_000 + b'"}, "finish_reason": "stop"}]}'
    chunks = b"".join(b"1\r\n%c\r\n" % each for each in body)
    llm.then(replies.babble(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
    assert (await ask(provider, HI)).text == "x" * 8_000


async def test_a_call_that_finds_no_descriptor_has_asked_nobody(
    llm: FakeLLM, provider: OpenAICompatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        without_descriptors(patched)
        with pytest.raises(ProviderError) as failed:
            await ask(provider, HI)

    assert (failed.value.retryable, failed.value.asked, llm.total) == (True, False, 0)
    assert 0 < (failed.value.retry_after or 0) < 10


@pytest.mark.parametrize("chunk", [16, 1000, 100_000])
async def test_a_large_answer_is_whole_however_it_is_cut(chunk: int, llm: FakeLLM, provider: OpenAICompatible) -> None:
    body = b'{"choices": [{"message": {"content": "' + b"x" * 3_000_000 + b'"}, "finish_reason": "stop"}]}'
    pieces = (body[start : start + chunk] for start in range(0, len(body), chunk))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    llm.then(replies.babble(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
    assert len((await ask(provider, HI)).text or "") == 3_000_000


class Flood:
    """A response that always has more."""

    status = 200
    headers: Mapping[str, str] = {}

    async def read_some(self, _: int | None = None) -> bytes:
        return b": nothing\n\n"


async def test_a_response_that_never_pauses_ends_with_its_time() -> None:
    late = ProviderError(ErrorCode.UPSTREAM_TIMEOUT, "late", retryable=True)
    soon = asyncio.get_running_loop().time() + 0.02
    response = OpenResponse(cast(Any, Flood()), soon, lambda _: late, HeldBytes(), Allowance(1, 1))

    async def read() -> None:
        while True:
            await response.read_some()

    with pytest.raises(ProviderError) as error:
        await read()
    assert error.value is late


class Measured(HeldBytes):
    most_held = 0

    async def hold(self, holder: object, size: int) -> None:
        self.most_held = max(self.most_held, sum({**self._sizes, holder: size}.values()))
        await super().hold(holder, size)


async def test_large_answers_that_come_at_once_share_what_they_may_hold(llm: FakeLLM) -> None:
    # Given room for one large answer
    heavy = HeavyWork()
    heavy.held = measured = Measured(8 * HEAVY_BYTES)
    provider = OpenAICompatible(llm.base_url, None, "m", now=lambda: 0, heavy=heavy)
    llm.then(*[replies.message("x" * 8 * HEAVY_BYTES)] * 8)
    # When eight come
    answers = await asyncio.gather(*(ask(provider, HI) for _ in range(8)))
    await provider.close()
    # Then all come whole, though never more than some of their 64 quarters of a megabyte were held
    assert {len(answer.text or "") for answer in answers} == {8 * HEAVY_BYTES}
    assert 8 * HEAVY_BYTES < measured.most_held < 20 * HEAVY_BYTES


async def test_an_answer_that_waits_for_room_until_its_time_is_over_is_late(llm: FakeLLM) -> None:
    heavy = HeavyWork()
    heavy.held = HeldBytes(HEAVY_BYTES)
    await heavy.held.hold("another", 2 * HEAVY_BYTES)
    provider = OpenAICompatible(llm.base_url, None, "m", now=lambda: 0, heavy=heavy)
    llm.then(replies.message("x" * 4 * HEAVY_BYTES))
    with pytest.raises(ProviderError) as error:
        await ask(provider, ChatRequest(HI.body, timeout=0.3))
    await provider.close()
    assert error.value.failure.code == ErrorCode.UPSTREAM_TIMEOUT


@pytest.mark.parametrize("piece", [gzip.compress(b""), gzip.compress(b" ")], ids=["empty", "of a byte"])
async def test_a_compressed_answer_of_nothing_ends_the_call(
    piece: bytes, llm: FakeLLM, provider: OpenAICompatible
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    llm.then(replies.babble(head + piece * 20_000))
    with pytest.raises(ProviderError, match="more headers and framing") as error:
        await ask(provider, HI)
    assert error.value.failure.code == ErrorCode.UPSTREAM_INVALID


class Members(Flood):
    """The same, of compressed data that holds nothing."""

    headers: Mapping[str, str] = {"Content-Encoding": "gzip"}

    async def read_some(self, _: int | None = None) -> bytes:
        return gzip.compress(b"") * 100


async def test_a_response_that_decompresses_to_nothing_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("answerback.http.client.decoding.EMPTY_BYTES", float("inf"))
    late = ProviderError(ErrorCode.UPSTREAM_TIMEOUT, "late", retryable=True)
    soon = asyncio.get_running_loop().time() + 0.02
    response = OpenResponse(cast(Any, Members()), soon, lambda _: late, HeldBytes(), Allowance(1, 1))
    with pytest.raises(ProviderError) as error:
        await response.read_some()
    assert error.value is late
