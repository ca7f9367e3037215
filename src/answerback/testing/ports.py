"""Ports of 127.0.0.1 for servers that come and go."""

import platform
import socket

HOST = "127.0.0.1"


def reserve_port() -> tuple[socket.socket | None, int]:
    """A free port, and what keeps it from others while the service is down.

    On Linux a socket that is bound with SO_REUSEADDR but does not listen keeps the kernel from handing its port to
    anybody, yet lets a server that sets SO_REUSEADDR too, as all asyncio's do, bind and listen.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    port: int = holder.getsockname()[1]
    if platform.system() == "Linux":
        return holder, port
    holder.close()
    return None, port
