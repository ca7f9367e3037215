"""All routes of a service in this process, called without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.datastructures import Headers

from answerback.bootstrap.app import create_app
from answerback.bootstrap.runtime import open_process
from answerback.bootstrap.service import Role, Service, build
from answerback.bootstrap.upstreams import Upstreams
from answerback.settings import Settings
from builders import Journal, nothing

HERE = ("127.0.0.1", 50_000)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """The `error.code` of a refusal."""
        return str(self.json["error"]["code"])


class Api:
    """Calls the routes of a service that does no work by itself."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = create_app(service).asgi

    async def __call__(
        self,
        method: str,
        path: str,
        key: str | None = None,
        *,
        body: Any = None,
        client: tuple[str, int] = HERE,
        scheme: str = "http",
        **headers: str,
    ) -> Reply:
        """One request; `idempotency_key="a"` is the header `Idempotency-Key: a`; `body` is sent as JSON, bytes as they
        are."""
        given = {"host": "localhost"} | {name.replace("_", "-").lower(): text for name, text in headers.items()}
        if key is not None:
            given["authorization"] = f"Bearer {key}"
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), text.encode()) for name, text in given.items()],
            "client": client,
            "server": ("127.0.0.1", 80),
        }
        messages: list[Any] = []
        pending = [{"type": "http.request", "body": sent, "more_body": False}]

        async def receive() -> Any:
            return pending.pop() if pending else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start, *parts = messages
        return Reply(
            start["status"],
            Headers(raw=start["headers"]),
            b"".join(part.get("body", b"") for part in parts),
        )


@asynccontextmanager
async def whole_api(path: Path, **settings: Any) -> AsyncIterator[Api]:
    """A service on the SQLite file at `path` with these settings; the mock provider answers unless they say
    otherwise."""
    given = {"database_url": f"sqlite:///{path}", "mock_mode": True} | settings
    chosen = Settings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]
    async with AsyncExitStack() as lifetimes:
        upstreams = Upstreams(chosen)
        process = await open_process(chosen, Journal(), upstreams.models, nothing, lifetimes)
        service = await build(chosen, process, upstreams, Role.API, lifetimes)
        yield Api(service)
        await service.stop()


def shared_api(**settings: Any) -> Any:
    """A fixture: one service for all tests of a module, in the module's event loop, for those that store nothing which
    another would find."""

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
        async with whole_api(tmp_path_factory.mktemp("api") / "a.db", rate_limit="0", **settings) as api:
            yield api

    return api
