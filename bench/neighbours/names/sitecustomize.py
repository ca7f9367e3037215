"""Python imports this at its start where this folder is on PYTHONPATH: in the service, names that begin with `dead` are
looked up for twenty seconds, and have no address then; other `.test` names are this host."""

import sys
from typing import Any

LOOK_SECONDS = 20.0
"""As long as a resolver takes whose name servers do not answer."""


def _patch() -> None:
    import socket
    import time

    asked = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        if str(host).endswith(".test"):
            if str(host).startswith("dead"):
                time.sleep(LOOK_SECONDS)
                raise socket.gaierror("no such name")
            host = "127.0.0.1"
        return asked(host, *rest, **options)

    socket.getaddrinfo = getaddrinfo


# Not in the processes that read files, which would start later for it.
if {"serve", "worker"} & set(sys.orig_argv):
    _patch()
