"""Names to addresses, by the system's resolver."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from answerback.http.client.errors import NameNotFound
from answerback.kernel.shielded import shielded

LOOPBACK = ("127.0.0.1", "::1")

REMEMBER_SECONDS = 10.0
"""How long the addresses of a name are remembered: many connections to a host may begin at once."""


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def look_up(host: str) -> Sequence[str]:
    """Every address of a host, zones kept (`fe80::1%2`). Blocks. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("the name cannot be encoded") from error
    addresses = []
    for family, _, _, _, where in found:
        address = str(where[0])
        if family == socket.AF_INET6 and len(where) == 4 and where[3] and "%" not in address:
            address = f"{address}%{where[3]}"
        addresses.append(address)
    return list(dict.fromkeys([*addresses, *_other_loopback(host, addresses)]))


def _other_loopback(host: str, found: Sequence[str]) -> Sequence[str]:
    """The loopback address that the system does not give for `localhost`, where it has one: a server may listen on
    either alone (RFC 6761, section 6.3)."""
    if host.rstrip(".").lower() != "localhost" or not all(ip_address(each).is_loopback for each in found):
        return ()
    return [each for each in LOOPBACK if each not in found and _is_ours(each)]


def _is_ours(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


class SharedLookups:
    """Implements `Resolve` for hosts that the operator names: connections that begin together share a lookup."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[asyncio.Future[Sequence[str]], float]] = {}

    async def __call__(
        self,
        host: str,
        port: int,  # noqa: ARG002 (every port may be called)
        deadline: asyncio.Timeout,  # noqa: ARG002 (goes on)
    ) -> Sequence[str]:
        """Raises NameNotFound."""
        if is_address(host):
            return [host]
        loop = asyncio.get_running_loop()
        lookup, until = self._found.get(host, (None, 0.0))
        if lookup is None or until < loop.time() or (lookup.done() and lookup.exception() is not None):
            lookup = loop.run_in_executor(None, look_up, host)
            self._found[host] = lookup, loop.time() + REMEMBER_SECONDS
        # One that gives up must not end the lookup that others wait for.
        try:
            return await shielded(lookup)
        except OSError as error:
            raise NameNotFound("the name has no address") from error
