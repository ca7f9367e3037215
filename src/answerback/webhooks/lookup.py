"""Names to addresses, by the system's resolver, in threads of their own."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

THREADS = 32
MAX_WAITING = 1024
"""With this many lookups under way, another one raises OSError, as for a name that does not exist."""


class SystemLookup:
    """Asks the system's resolver in a bounded pool, so that slow names never starve the rest of the process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="callback-dns")
        self._room = MAX_WAITING

    async def __call__(self, host: str) -> list[str]:
        """Every address of a host, zones kept (`fe80::1%2`). Raises OSError."""
        if self._room <= 0:
            raise OSError("too many names are being looked up")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _addresses, host)
        finally:
            self._room += 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> list[str]:
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
