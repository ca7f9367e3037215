"""A shop's relay in the middle of a day: real messages, answered, refused and called back, for every page to show."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from answerback.testing import behaviours, replies
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Receiver
from answerback.testing.replies import Call, Reply
from answerback.testing.service import Service
from surroundings import SECRET

KEY = "ab_of-the-shop-5d1f"
OPERATOR = "ab_of-the-operator-90ab"
MODEL = "openai/gpt-oss-20b"
LONGEST_NAME = "nousresearch/hermes-3-llama-3.1-405b-instruct-fp8-extended:free"
MODELS = (MODEL, "openai/gpt-5-mini", "anthropic/claude-haiku-4.5", "meta-llama/llama-3.3-70b", LONGEST_NAME)

ANSWERS = {
    "Where is my parcel 1742?": "It left the depot in Leipzig this morning and should arrive tomorrow before noon.",
    "Can it be left with a neighbour?": "Yes. Name the neighbour in the tracking page before 8 in the morning, and the "
    "driver will ring there.",
    "Do you ship to Norway?": "Yes, in three to five days. Duties are included in the price that you see at checkout.",
    "I would like to return the blue jacket.": "I'm sorry it didn't fit. You have 30 days. Shall I send you a label by "
    "e-mail, or a code for the parcel shop?",
    "The label, please.": "Done: the label is in your inbox. Refunds take about two days once the parcel is scanned.",
    "Is the kettle BPA-free?": "Yes. Everything that touches water is steel or glass.",
    "Summarize today's open tickets.": "Three are open: a late parcel (1742), a return without a label (1688), and a "
    "question about duties to Norway.",
}
TOO_LONG = "Read this whole catalogue."
OVERLOADED = "Which of these kettles is the quietest?"
SLOW = "Compare all kettles in a table."


@dataclass(slots=True)
class Shop:
    """The running service, its LLM and its receiver. `never` is not set: what waits for it stays."""

    service: Service
    llm: FakeLLM
    receiver: Receiver
    http: aiohttp.ClientSession
    never: asyncio.Event = field(default_factory=asyncio.Event)
    operator: str = OPERATOR

    async def request(self, method: str, path: str, body: Any = None, key: str | None = KEY) -> Any:
        """The decoded body of a success."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self.http.request(method, self.service.url + path, json=body, headers=headers) as response:
            assert response.ok, await response.text()
            return await response.json() if response.status != 204 else None

    async def say(self, message: str, *, path: str = "/answers", key: str | None = KEY, **fields: Any) -> str:
        """Posts a message; returns its job's id."""
        body = {"message": message, "callback_url": self.receiver.url(path), **fields}
        return str((await self.request("POST", "/webhook", body, key))["job_id"])

    async def new_key(self, name: str = "client", **fields: Any) -> str:
        """The key of a new tenant."""
        made = await self.request("POST", "/v1/keys", {"name": name, **fields}, OPERATOR)
        return str(made["key"])

    async def job(self, job_id: str, key: str | None = KEY) -> Any:
        return await self.request("GET", f"/v1/jobs/{job_id}", key=key)


@contextlib.asynccontextmanager
async def shop(**settings: str) -> AsyncIterator[Shop]:
    """The service with two keys: `KEY`, and `OPERATOR` of an operator."""
    chosen = {
        "OPENROUTER_API_KEY": "sk-of-the-shop",
        "LLM_MODEL": MODEL,
        "AUTH_TOKEN": KEY,
        "OPERATOR_TOKEN": OPERATOR,
        "CALLBACK_HMAC_SECRET": SECRET,
        **settings,
    }
    async with (
        FakeLLM(default=_answer(), models=MODELS) as llm,
        Receiver(SECRET) as receiver,
        aiohttp.ClientSession() as http,
        Service({"OPENROUTER_BASE_URL": llm.base_url, **chosen}) as service,
    ):
        yield Shop(service, llm, receiver, http)


def _answer() -> Reply:
    """What the shop's assistant says; a word of its own for what it was not asked before."""

    async def reply(request: Any, call: Call) -> Any:
        text = ANSWERS.get(call.user, "I have noted that, and a colleague will get back to you today.")
        return await replies.say(text)(request, call)

    return reply


async def busy_day(shop: Shop) -> Sequence[str]:
    """Everything that pages can show: answered, refused, waiting and stuck. Returns the ids of jobs, in order."""
    shop.llm.on(TOO_LONG, replies.status(400, _refusal("context_length_exceeded", "maximum context length is 131072")))
    shop.llm.on(OVERLOADED, replies.status(503), replies.say("The Aurora, at 48 decibels."))
    shop.llm.on(SLOW, replies.hang(shop.never))
    shop.receiver.on("/crm", behaviours.status(503, "the CRM is being updated"))
    shop.receiver.on("/old", behaviours.gone())
    made = [
        await shop.say("Where is my parcel 1742?", session_id="customer-42", metadata={"ticket": 1742}),
        await shop.say("Can it be left with a neighbour?", session_id="customer-42"),
        await shop.say("Do you ship to Norway?", session_id="customer-77", model="openai/gpt-5-mini"),
        await shop.say("I would like to return the blue jacket.", session_id="customer-19", path="/crm"),
        await shop.say("The label, please.", session_id="customer-19", path="/crm"),
        await shop.say(TOO_LONG, session_id="customer-64"),
        await shop.say("Is the kettle BPA-free?", session_id="customer-08", path="/old"),
        await shop.say("Summarize today's open tickets.", stateless=True, system="You write for the team."),
        await shop.say(SLOW, session_id="customer-31"),
        await shop.say("And without a table?", session_id="customer-31"),
        await shop.say(OVERLOADED, session_id="customer-55"),
    ]
    await shop.receiver.wait_for(lambda came: any(b"customer-55" in each.body for each in came), timeout=20)
    return made


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
