"""uvicorn's server, which stops without cutting a request off."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server as Uvicorn

from answerback.bootstrap.signals import STOPS
from answerback.http.server.listener import Listener
from answerback.http.server.room import make_room
from answerback.kernel.log import Log
from answerback.siblings.link import Link

LAST_WORDS_SECONDS = 1.0
"""How long a stop waits for clients to read the end of responses that it cut short."""

LOOK_SECONDS = 0.05
"""How often a stop looks whether clients still ask."""

QUIET_SECONDS, LEAVING_SECONDS = 1.0, 4.0
"""How long no request may have come before a stop closes idle connections, and how long it waits for that."""


class Server(Uvicorn):
    """Says when it listens, and ends with exit code 0 on SIGTERM and SIGINT."""

    def __init__(
        self,
        config: Config,
        stop_engine: Callable[[], Awaitable[None]],
        facts: Mapping[str, object],
        log: Log,
    ) -> None:
        super().__init__(config)
        self._stop_engine = stop_engine
        self._facts = facts
        self._log = log
        self._siblings: Link | None = None
        self._speaks = True
        self._listener: Listener | None = None
        self.code = 0

    def join(self, siblings: Link, *, first: bool) -> None:
        """One of several processes: it stops when their supervisor ends. The `first` speaks for all."""
        self._siblings = siblings
        self._speaks = first
        siblings.on_gone = self._supervisor_gone

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sys.platform == "win32":
            # Its event loop has no `add_reader`.
            await super().startup(sockets)
        else:
            await super().startup([])
            self._listener = Listener(sockets or [], self._protocol, self._make_room)
        if self._speaks:
            self._log.info("listening", **self._facts)
        else:
            self._log.info("joined", pid=os.getpid())
        if self._siblings is not None:
            self._siblings.ready()

    def broke(self) -> None:
        """Ends, so that the supervisor starts another."""
        self.code = 1
        self.should_exit = True

    def _supervisor_gone(self) -> None:
        if not self.should_exit:
            self._log.error("supervisor_gone")
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._listener is not None:
            await self._listener.end()
        # The engine stops while clients finish, not after them: a supervisor may kill after ten seconds.
        await asyncio.gather(super().shutdown(sockets), self._end_connections(), self._stop_engine())
        if self.server_state.tasks:
            await self._last_words()

    async def _end_connections(self) -> None:
        """Closes idle connections once no request comes any more. Each response is now the last of its connection, so a
        client that goes on asking soon has none left; what it sent on one that was closed meanwhile would be cut
        off."""
        loop = asyncio.get_running_loop()
        for connection in self.server_state.connections:
            connection.shutdown()
        began, answered = loop.time(), self.server_state.total_requests
        ends = began + QUIET_SECONDS
        while self.server_state.connections and loop.time() < ends:
            await asyncio.sleep(LOOK_SECONDS)
            if answered != self.server_state.total_requests:
                answered = self.server_state.total_requests
                ends = min(loop.time() + QUIET_SECONDS, began + LEAVING_SECONDS)
        for connection in tuple(self.server_state.connections):
            connection.leave()  # type: ignore[union-attr]  # BoundedHttp's

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes it for what it accepts itself."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _make_room(self) -> bool:
        return make_room(self.server_state.connections)  # type: ignore[arg-type]  # BoundedHttp's

    async def _last_words(self) -> None:
        """Lets the requests that outlasted the grace answer; a client that reads nothing is not waited for."""
        tasks = tuple(self.server_state.tasks)
        _, silent = await asyncio.wait(tasks, timeout=LAST_WORDS_SECONDS)
        if silent:
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
            await asyncio.wait(silent, timeout=LAST_WORDS_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOPS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in STOPS:
                loop.remove_signal_handler(number)
            self._log.info("stopped")
