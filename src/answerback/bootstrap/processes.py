"""Several processes of the service on one address, and their supervisor."""

import contextlib
import gc
import math
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from answerback.bootstrap.signals import blocked, restore, waking
from answerback.kernel.log import Log
from answerback.siblings.channel import Channel
from answerback.siblings.hub import Hub

STEADY_SECONDS = 10.0
"""A process that ends earlier is started again after a pause."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STOP_SECONDS = 9.0
"""How long processes may take to stop: they need less, and what stops the supervisor may kill it after ten."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a process knows of its place: its end of the link, and whether it is the first, which speaks for all."""

    end: socket.socket
    first: bool


@dataclass(slots=True)
class _Place:
    """One of the processes, as it is started again and again. `due` is when it is started next."""

    number: int
    pid: int | None = None
    channel: Channel | None = None
    started: float = 0.0
    quick_ends: int = 0
    due: float | None = None


class Supervisor:
    """Forks so many processes, each of which calls `run` and exits with what that returns, and starts them again.

    The others follow when the first is ready, so that what keeps the service from starting (settings, schema) is
    reported once. It runs no event loop and no thread: it may fork at any time.
    """

    def __init__(self, processes: int, run: Callable[[Membership], int], hub: Hub, log: Log) -> None:
        self._run = run
        self._hub = hub
        self._log = log
        self._places = [_Place(number) for number in range(processes)]
        self._selector = selectors.DefaultSelector()
        self._ready = False
        self._kill_at: float | None = None
        """Set while it stops."""
        self._code = 0

    def supervise(self) -> int:
        """Until SIGTERM or SIGINT, or until the first process ends before it is ready; returns the exit code."""
        gc.collect()
        # What is in memory by now is shared by all processes, as long as none writes to it.
        gc.freeze()
        with self._selector, waking(self._selector) as asked:
            self._places[0].due = time.monotonic()
            while self._kill_at is None or any(place.pid is not None for place in self._places):
                self._act(time.monotonic())
                for key, events in self._selector.select(self._patience()):
                    if isinstance(key.data, Channel):
                        self._exchange(key.data, events)
                    else:
                        stops = asked()
                        self._reap()
                        if stops:
                            self._stop()
        return self._code

    def _act(self, now: float) -> None:
        self._hub.expire()
        if self._kill_at is None:
            for place in self._places:
                if place.due is not None and place.due <= now:
                    self._start(place)
        elif self._kill_at <= now:
            self._kill_at = math.inf
            self._signal(signal.SIGKILL)
        for place in self._places:
            if place.channel is not None:
                place.channel.flush()

    def _patience(self) -> float | None:
        dues = [self._hub.due, self._kill_at]
        if self._kill_at is None:
            dues += [place.due for place in self._places]
        soonest = min((due for due in dues if due is not None), default=math.inf)
        return None if math.isinf(soonest) else max(0.0, soonest - time.monotonic())

    def _start(self, place: _Place) -> None:
        ours, theirs = socket.socketpair()
        with blocked():
            place.pid, place.started, place.due = os.fork(), time.monotonic(), None
            if place.pid == 0:
                ours.close()
                self._become(Membership(theirs, first=not self._ready))
        theirs.close()
        place.channel = Channel(ours, self._selector)
        self._hub.join(place.number, place.channel.send)

    def _become(self, membership: Membership) -> NoReturn:
        """Runs in a process that was just forked, and ends it."""
        code = 1
        try:
            restore()
            self._selector.close()
            for place in self._places:
                if place.channel is not None:
                    place.channel.drop()
            code = self._run(membership)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001 - what follows in the supervisor's code is not this process's to run
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _exchange(self, channel: Channel, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            channel.flush()
        if events & selectors.EVENT_READ:
            self._receive(next(place for place in self._places if place.channel is channel))

    def _receive(self, place: _Place) -> None:
        if place.channel is None:
            return
        for message in place.channel.receive():
            if message == ["ready"]:
                self._is_ready()
            else:
                self._hub.received(place.number, message)
        if not place.channel.open:
            self._hub.leave(place.number)
            place.channel = None

    def _is_ready(self) -> None:
        if not self._ready:
            self._ready = True
            for place in self._places:
                if place.pid is None:
                    place.due = time.monotonic()

    def _reap(self) -> None:
        for place in self._places:
            if place.pid is not None:
                ended, status = os.waitpid(place.pid, os.WNOHANG)
                if ended:
                    # What it sent before counts.
                    while place.channel is not None:
                        self._receive(place)
                    place.pid = None
                    self._ended(place, ended, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, pid: int, code: int) -> None:
        if self._kill_at is not None:
            # The signal itself ends one that did not listen yet.
            self._code = self._code or (0 if code in (0, -signal.SIGTERM) else 1)
            return
        if not self._ready:
            self._code = code if code > 0 else 1
            self._kill_at = math.inf
            return
        lived = time.monotonic() - place.started
        place.quick_ends = place.quick_ends + 1 if lived < STEADY_SECONDS else 0
        pause = (
            min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (place.quick_ends - 1)) if place.quick_ends else 0
        )
        place.due = time.monotonic() + pause
        self._log.error("process_ended", pid=pid, code=code, starts_again_in_seconds=pause)

    def _stop(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + STOP_SECONDS
            # Not SIGINT, which a terminal sends to all by itself: its second one breaks the stop off.
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid is not None:
                os.kill(place.pid, number)
