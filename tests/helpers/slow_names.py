"""The service, where names that begin with `dead` are looked up until a file `ANSWERS` is in its folder, and have no
address then; other `.test` names are this host: `python -m slow_names serve`."""

import socket
import sys
import time
from pathlib import Path
from typing import Any

from answerback.cli import main
from answerback.webhooks.sending import guard

ANSWERS = "names_are_answered"
LOOK_SECONDS = 0.02

_asked = socket.getaddrinfo


def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
    if str(host).endswith(".test"):
        if str(host).startswith("dead"):
            Path(str(host)).touch()
            while not Path(ANSWERS).exists():
                time.sleep(LOOK_SECONDS)
            raise socket.gaierror("no such name")
        host = "127.0.0.1"
    return _asked(host, *rest, **options)


if __name__ == "__main__":
    socket.getaddrinfo = getaddrinfo
    # A message would be accepted before its host is known: so it waits for as long as the name does.
    guard.LOOKUP_SECONDS = 60.0
    sys.exit(main())
