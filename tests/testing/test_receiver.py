"""The receiver that we, and our users, test with."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from answerback.kernel import signature
from answerback.testing import behaviours
from answerback.testing.receiver import Receiver
from answerback.testing.signatures import InvalidSignatureError, verify

SECRET = signature.new_secret()
NOW = 1_750_000_000


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


class TestReceiver:
    async def test_records_what_comes_and_says_whether_it_is_signed(self, client: aiohttp.ClientSession) -> None:
        async with Receiver(secret=SECRET) as receiver:
            signed = signature.headers("msg_1", int(time.time()), b'{"a": 1}', [SECRET])
            await client.post(receiver.url("/signed"), data=b'{"a": 1}', headers=signed)
            await client.post(receiver.url("/forged"), data=b'{"a": 2}', headers=signed)
            first, second = await receiver.wait_for(2)
        assert (first.path, first.json, first.id, first.verified) == ("/signed", {"a": 1}, "msg_1", True)
        assert (second.path, second.verified) == ("/forged", False)

    async def test_answers_by_its_script_and_then_stays_with_the_last(self, client: aiohttp.ClientSession) -> None:
        async with Receiver() as receiver:
            receiver.on("/a", behaviours.status(503), behaviours.gone())
            statuses = [(await client.post(receiver.url(path))).status for path in ("/a", "/a", "/b", "/a")]
        assert statuses == [503, 410, 200, 410]

    async def test_waits_for_a_condition(self, client: aiohttp.ClientSession) -> None:
        async with Receiver() as receiver:
            waiting = asyncio.create_task(receiver.wait_for(lambda seen: any(each.path == "/b" for each in seen)))
            await client.post(receiver.url("/a"))
            assert not waiting.done()
            await client.post(receiver.url("/b"))
            assert [each.path for each in await waiting] == ["/a", "/b"]

    async def test_says_how_many_came_when_the_rest_did_not(self, client: aiohttp.ClientSession) -> None:
        async with Receiver() as receiver:
            await client.post(receiver.url())
            with pytest.raises(TimeoutError, match="1 callbacks came"):
                await receiver.wait_for(2, timeout=0.01)

    async def test_holds_an_answer_until_released(self, client: aiohttp.ClientSession) -> None:
        released = asyncio.Event()
        async with Receiver() as receiver:
            receiver.on("/", behaviours.delayed(released, behaviours.status(201)))
            answer = asyncio.create_task(client.post(receiver.url()).__aenter__())
            await receiver.wait_for(1)
            assert not answer.done()
            released.set()
            assert (await answer).status == 201


class TestVerify:
    HEADERS = signature.headers("msg_1", NOW, b"body", [SECRET])

    def test_a_callback_of_ours(self) -> None:
        assert verify(self.HEADERS, b"body", SECRET, now=NOW) == "msg_1"
        assert verify({k.upper(): v for k, v in self.HEADERS.items()}, b"body", ["plain", SECRET], now=NOW) == "msg_1"

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "X-Signature"])
    @pytest.mark.parametrize("value", [None, "", "1750000001", "ü"])
    def test_every_header_counts(self, name: str, value: str | None) -> None:
        headers = dict(self.HEADERS)
        del headers[name]
        with pytest.raises(InvalidSignatureError):
            verify(headers if value is None else headers | {name: value}, b"body", SECRET, now=NOW)

    def test_so_does_the_body(self) -> None:
        with pytest.raises(InvalidSignatureError, match="body"):
            verify(self.HEADERS, b"another", SECRET, now=NOW)

    def test_so_does_the_secret(self) -> None:
        with pytest.raises(InvalidSignatureError, match="secret"):
            verify(self.HEADERS, b"body", signature.new_secret(), now=NOW)

    @pytest.mark.parametrize("late", [301, -301])
    def test_so_does_the_time(self, late: int) -> None:
        with pytest.raises(InvalidSignatureError, match="timestamp"):
            verify(self.HEADERS, b"body", SECRET, now=NOW + late)
        assert verify(self.HEADERS, b"body", SECRET, tolerance=302, now=NOW + late) == "msg_1"
