"""Names to addresses, by the system's resolver."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from answerback.http.client.errors import NameNotFound

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
    return list(dict.fromkeys(addresses))


class SharedLookups:
    """Implements `Resolve` for hosts that the operator names: connections that begin together share a lookup."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[asyncio.Future[Sequence[str]], float]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 (every port may be called)
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
            return await asyncio.shield(lookup)
        except OSError as error:
            raise NameNotFound("the name has no address") from error
