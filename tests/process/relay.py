"""A running relay and its clients: each a tenant of its own, so that stories share one service and never meet."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from answerback.accounts.model import hash_key, new_key
from answerback.kernel.clock import SystemClock
from answerback.testing.llm import FakeLLM
from answerback.testing.receiver import Callback, Receiver
from answerback.testing.replies import Call
from answerback.testing.service import HOST, Service
from answerback.webhooks.signing.secrets import SigningSecrets
from databases import SqliteDatabase
from eventually import PATIENCE, eventually
from surroundings import SECRET
from whole_api import Reply

AUTH_TOKEN = "default-tenants-token-6d1f"
OPERATOR_TOKEN = "operator-token-90ab"
PROVIDER_KEY = "sk-provider-key-8c0b"

_NUMBERS = count(1)


def problem(reply: Reply, status: int, code: str) -> Any:
    """Asserts the shape of every error of our own routes; returns its `detail`."""
    assert reply.status == status, reply.raw
    body = reply.json
    assert body.keys() == {"detail", "error"}
    assert body["error"].keys() == {"code", "message"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["x-request-id"]
    return body["detail"]


def fields(detail: Any) -> set[str]:
    """The fields that a 422 names, as `body.metadata`."""
    return {".".join(str(part) for part in each["loc"]) for each in detail}


@dataclass(slots=True)
class Client:
    """One tenant: its key, a callback path and texts that are nobody else's."""

    relay: "Relay"
    key: str | None
    name: str = field(default_factory=lambda: f"tenant-{next(_NUMBERS)}")

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def callback_url(self) -> str:
        return self.relay.receiver.url(self.path)

    def text(self, said: str) -> str:
        """A message by which the shared LLM recognizes this client's calls."""
        return f"{said} ({self.name})"

    async def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> Reply:
        """One request; `json=` or `data=` is its body. The path is sent as written."""
        auth = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = URL(self.relay.service.url + path, encoded=True)
        async with self.relay.http.request(
            method, url, headers={**auth, **(headers or {})}, allow_redirects=False, **body
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """The body of a 200."""
        reply = await self.request("GET", path)
        assert reply.status == 200, reply.raw
        return reply.json

    def body(self, said: str = "hello", **changes: Any) -> dict[str, Any]:
        return {"message": self.text(said), "callback_url": self.callback_url, **changes}

    async def post(self, said: str = "hello", *, headers: Mapping[str, str] | None = None, **changes: Any) -> Reply:
        """Posts a message to `/webhook`."""
        return await self.request("POST", "/webhook", json=self.body(said, **changes), headers=headers)

    async def say(self, said: str = "hello", **changes: Any) -> Any:
        """Posts a message and returns the body of its 202."""
        reply = await self.post(said, **changes)
        assert reply.status == 202, reply.raw
        return reply.json

    async def job(self, job_id: str) -> Any:
        return await self.get(f"/v1/jobs/{job_id}")

    async def jobs(self, query: str = "") -> Any:
        return (await self.get(f"/v1/jobs{query}"))["items"]

    async def until(self, job_id: str, satisfied: Callable[[Any], object], what: str) -> Any:
        """The job once it is as wanted."""

        async def probe() -> Any:
            job = await self.job(job_id)
            return job if satisfied(job) else None

        return await eventually(probe, f"{job_id}: {what}")

    async def ended(self, job_id: str, state: str) -> Any:
        return await self.until(job_id, lambda job: job["status"] == state, state)

    async def settled(self, job_id: str, state: str = "delivered") -> Any:
        """The job once its delivery is in this state."""
        return await self.until(job_id, lambda job: (job["delivery"] or {}).get("status") == state, state)

    async def cancel(self, job_id: str) -> Reply:
        return await self.request("POST", f"/v1/jobs/{job_id}/cancel")

    async def retry(self, job_id: str) -> Reply:
        return await self.request("POST", f"/v1/jobs/{job_id}/retry")

    async def resend(self, delivery_id: str) -> Reply:
        return await self.request("POST", f"/v1/deliveries/{delivery_id}/resend")

    def conversation_path(self, key: str) -> str:
        return f"/v1/sessions/{quote(key, safe='')}"

    async def callbacks(self, n: int = 1, receiver: Receiver | None = None) -> Sequence[Callback]:
        """Waits for `n` callbacks to this client's path and returns all that came there."""
        where = receiver or self.relay.receiver

        def mine(came: Sequence[Callback]) -> list[Callback]:
            return [callback for callback in came if callback.path == self.path]

        return mine(await where.wait_for(lambda came: len(mine(came)) >= n, timeout=PATIENCE))

    @property
    def calls(self) -> list[Call]:
        """What the LLM was asked by this client, in order."""
        return [call for call in self.relay.llm.calls if call.user.endswith(f"({self.name})")]

    async def asked(self, n: int = 1) -> list[Call]:
        """Waits until this client's messages came to the LLM `n` times."""

        llm = self.relay.llm
        while len(calls := self.calls) < n:
            await llm.wait_for_calls(llm.total + 1, PATIENCE)
        return calls


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around a relay: its LLM, a receiver of callbacks, and an HTTP client."""

    llm: FakeLLM
    receiver: Receiver
    http: aiohttp.ClientSession

    @contextlib.asynccontextmanager
    async def running(self, keys: int = 0, **settings: object) -> AsyncIterator["Relay"]:
        """A relay with these settings; `lease_seconds=5` becomes `LEASE_SECONDS=5`."""
        chosen = {
            "openrouter_base_url": self.llm.base_url,
            "callback_hmac_secret": SECRET,
            "callback_backoff_seconds": 0.05,
        }
        chosen |= settings
        service = Service({name.upper(): str(value) for name, value in chosen.items()})
        made = await make_keys(service, keys)
        async with service:
            yield Relay(service, self, made)


class Relay:
    """The service with what surrounds it. `keys` are those that clients get, one each."""

    def __init__(self, service: Service, surroundings: Surroundings, keys: Sequence[str] = ()) -> None:
        self.service = service
        self.llm = surroundings.llm
        self.receiver = surroundings.receiver
        self.http = surroundings.http
        self._keys = list(keys)

    def client(self) -> Client:
        """A tenant that nobody else is; without keys left, somebody who brings none."""
        return Client(self, self._keys.pop() if self._keys else None)

    def log_lines(self) -> list[dict[str, Any]]:
        """All but one that is being written."""
        return [json.loads(line) for line in self.service.logs.rpartition("\n")[0].splitlines()]


async def make_keys(service: Service, n: int) -> list[str]:
    """Keys as `answerback keys create` makes them, of tenants whose callbacks the receiver can verify."""
    if not n:
        return []
    stores = await SqliteDatabase(service.database).open(SystemClock())
    try:
        made = [new_key() for _ in range(n)]
        keys = await asyncio.gather(
            *(stores.accounts.create_key(f"client {i}", hash_key(key)) for i, key in enumerate(made))
        )
        signing = SigningSecrets(stores.database, {key.tenant_id: SECRET for key in keys})
        await signing.record()
    finally:
        await stores.close()
    return made


async def raw_exchange(service: Service, request: bytes) -> Reply:
    """Sends these bytes, reads one response, and hangs up."""
    reader, writer = await asyncio.open_connection(HOST, service.port)
    try:
        writer.write(request)
        await writer.drain()
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1")
        first, *rest = head.split("\r\n")
        headers = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in rest) if name}
        headers["x-request-id"] = headers.get("X-Request-Id", "")
        raw = await asyncio.wait_for(reader.readexactly(int(headers["Content-Length"])), PATIENCE)
        return Reply(int(first.split()[1]), headers, raw)
    finally:
        writer.close()
