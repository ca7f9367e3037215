"""The service, where names that begin with `dead` take seconds to have no address, and other `.test` names are this
host: `python -m slow_names serve`."""

import socket
import sys
import time
from typing import Any

from answerback.cli import main

DEAD_SECONDS = 4.0

_asked = socket.getaddrinfo


def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
    if str(host).endswith(".test"):
        if str(host).startswith("dead"):
            time.sleep(DEAD_SECONDS)
            raise socket.gaierror("no such name")
        host = "127.0.0.1"
    return _asked(host, *rest, **options)


if __name__ == "__main__":
    socket.getaddrinfo = getaddrinfo
    sys.exit(main())
