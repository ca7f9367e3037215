"""Signals of a process that forks."""

import contextlib
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterator

STOPS = (signal.SIGTERM, signal.SIGINT)
HANDLED = (*STOPS, signal.SIGCHLD)


def stop_at_once() -> None:
    """Until the process has opened anything, a stop ends it, as one that went well."""
    for number in STOPS:
        signal.signal(number, lambda *_: sys.exit(0))


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """A process that is forked in here does not act on its parent's handlers, before it calls `restore`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def restore() -> None:
    """Gives a process that was forked the handlers of one that was started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


@contextlib.contextmanager
def waking(selector: selectors.BaseSelector) -> Iterator[Callable[[], bool]]:
    """Signals wake the selector, also that of a child's end. Yields what says whether this process is asked to stop."""
    asked: list[int] = []
    wakes, woken = socket.socketpair()
    with wakes, woken:
        wakes.settimeout(0)
        woken.settimeout(0)
        selector.register(wakes, selectors.EVENT_READ)
        before = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        kept = {number: signal.getsignal(number) for number in HANDLED}
        for number in STOPS:
            signal.signal(number, lambda number, _: asked.append(number))
        signal.signal(signal.SIGCHLD, lambda *_: None)

        def is_asked() -> bool:
            with contextlib.suppress(BlockingIOError):
                wakes.recv(4096)
            return bool(asked)

        try:
            yield is_asked
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in kept.items():
                signal.signal(number, handler)
