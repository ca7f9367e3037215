"""Reviews over time: an LLM that never calls back, and a service that is killed while it thinks."""

import aiohttp
from reviewing import VERDICT, Desk

from answerback.testing.push import PushLLM
from answerback.testing.receiver import Receiver
from answerback.testing.service import Service

GOOD = {"ok": True, "result": VERDICT}


async def test_an_llm_that_never_calls_back() -> None:
    async with (
        PushLLM() as push,
        Receiver() as receiver,
        Service({"LLM_API_URL": push.url, "LLM_CALLBACK_TIMEOUT_SECONDS": "0.2", "RATE_LIMIT": "0"}) as service,
        aiohttp.ClientSession(service.url) as session,
    ):
        desk = Desk(session, receiver)
        job_id = await desk.hand_in()

        verdict = await desk.verdict(job_id)

        assert (verdict["ok"], verdict["result"]) == (
            False,
            {"error": "the LLM took the job but did not call back in time"},
        )
        assert (await desk.job(job_id))["error"]["code"] == "llm_callback_timeout"
        (submission,) = push.submissions
        status, refused = await push.call_back(submission, GOOD)
        assert (status, refused["error"]["code"]) == (409, "conflict")
        assert "llm_callback_timeout" in refused["error"]["message"]
        assert len(receiver.callbacks) == 1


async def test_a_review_survives_the_death_of_the_service() -> None:
    async with (
        PushLLM() as push,
        Receiver() as receiver,
        Service({"LLM_API_URL": push.url, "RATE_LIMIT": "0"}) as service,
    ):
        async with aiohttp.ClientSession(service.url) as session:
            desk = Desk(session, receiver)
            job_id = await desk.hand_in()
            await desk.until_state(job_id, "awaiting")
        (submission,) = push.submissions

        await service.kill()
        await service.start()

        assert await push.call_back(submission, GOOD) == (200, {"received": True, "relayed": False})
        async with aiohttp.ClientSession(service.url) as session:
            assert (await Desk(session, receiver).verdict(job_id))["result"] == VERDICT
        assert len(push.submissions) == 1
