"""File descriptors: how many there may be, and what is left for clients and the database where they are short.

A descriptor gets the lowest free number. So outgoing connections leave the highest eighth of the numbers to clients and
the database, and clients the highest thirty-second to the database. Outgoing connections wait for a next request in the
lower half only.
"""

import errno
import os
import select
import socket
import sys

from aiohappyeyeballs.types import AddrInfoType

from answerback.http.client.errors import HttpError

if sys.platform != "win32":
    import resource

MOST = 65_536
"""Enough for all places and clients of one process."""
OUTGOING_LEAVE = 8
CLIENTS_LEAVE = 32

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def raise_limit() -> None:
    """Raises the soft limit of this process to the hard one, or to MOST."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def outgoing_socket(info: AddrInfoType) -> socket.socket:
    """A socket to connect by. Raises OSError (EMFILE) also where only the reserve is left."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    if made.fileno() >= _limit() * (1 - 1 / OUTGOING_LEAVE):
        made.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return made


def leaves_reserve(descriptor: int) -> bool:
    """Whether a client's connection with this number leaves the database its own."""
    return descriptor < _limit() * (1 - 1 / CLIENTS_LEAVE)


def lowered(connection: socket.socket) -> socket.socket:
    """The connection with the lowest number that is free, where that is a lower one."""
    try:
        other = connection.dup()
    except OSError:
        return connection
    higher, lower = (connection, other) if other.fileno() < connection.fileno() else (other, connection)
    higher.close()
    return lower


def may_wait(descriptor: int) -> bool:
    """Whether an outgoing connection with this number may be kept for a next request."""
    return descriptor < _limit() / 2


def has_unread(descriptor: int) -> bool:
    """Whether a connection with this number has brought something, or its end, that nobody has read."""
    if sys.platform == "win32":
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def is_shortage(error: BaseException) -> bool:
    """Whether this machine had no descriptor, memory or port for a connection: nobody was asked."""
    cause = error.__cause__ if isinstance(error, HttpError) else error
    if isinstance(cause, socket.gaierror):
        # The resolver hides which error of the system it had.
        return cause.errno == socket.EAI_SYSTEM
    return isinstance(cause, OSError) and cause.errno in _SHORT


def _limit() -> float:
    """How many descriptors this process may have."""
    if sys.platform == "win32":
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft
