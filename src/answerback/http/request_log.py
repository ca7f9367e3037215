"""One log line and one count for every request, answered by the application or refused by the server's protocol."""

import random
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from answerback.http.codes import METHOD_UNKNOWN, VERSION_UNKNOWN
from answerback.kernel.log import Log
from answerback.kernel.telemetry import Metrics

UNMATCHED = "unmatched"
"""The route that metrics name where a path has none."""

NO_HANDLER = "-"
"""The handler that the log names for a request that reached none."""

ERROR_CODE = "answerback.error_code"
"""The key of a request's scope under which the code of the error that answers it is noted, for its line of the log."""

ENDLESS = "answerback.endless"
"""The key of a request's scope under which a response notes that only its reader ends it, as it should."""

NO_NOTES: Mapping[str, object] = {}

MAX_LOGGED_PATH = 256
_VALID_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")


def request_id(given: bytes) -> str:
    """The id of a request: that of its `x-request-id` header, if it is well-formed, or a new one."""
    # Not from the system's source: that call would hand the interpreter to the database's thread, and wait for it.
    return given.decode() if _VALID_ID.match(given) else f"req_{random.getrandbits(96):024x}"


class RequestLog:
    """Below a path of `private` (each ends with a slash) the log shows nothing, since what follows may be a secret: a
    session key may be a callback URL that holds a token. So it is however a client wrote the path, also where it leads
    nowhere."""

    def __init__(self, log: Log, metrics: Metrics, private: Iterable[str] = ()) -> None:
        self._log = log
        self._metrics = metrics
        names = tuple((prefix, prefix.rstrip("/").rpartition("/")[2]) for prefix in private)
        self._private = tuple((prefix, re.compile(rf"[/\\]{re.escape(name)}[/\\]", re.I)) for prefix, name in names)

    def answered(
        self,
        method: str,
        path: str,
        status: int,
        seconds: float,
        request_id: str,
        *,
        route: str = UNMATCHED,
        handler: str = NO_HANDLER,
        code: str | None = None,
        broken: bool = False,
        notes: Mapping[str, object] = NO_NOTES,
    ) -> None:
        """`route` is a template, such as `/v1/jobs/{job_id}`; `code` that of the error, None without one; a `broken`
        response ended early. `notes` are more fields of the line."""
        log = self._log.info if status < 400 else self._log.warning
        # No upstream's 501 or 505 becomes ours: it is always the client's fault.
        if broken or (status >= 500 and status not in (METHOD_UNKNOWN.status, VERSION_UNKNOWN.status)):
            log = self._log.error
        fields: dict[str, object] = {} if code is None else {"code": code}
        if broken:
            fields["stream"] = "broken"
        ms = round(seconds * 1000, 2)
        # A path that is a template of ours holds no secret.
        logged = path if path == route else self.logged_path(path)
        log(
            "request",
            method=method,
            path=logged,
            handler=handler,
            status=status,
            ms=ms,
            **fields,
            **notes,
            request_id=request_id,
        )
        self._metrics.requested(method, route, status, seconds)

    def logged_path(self, path: str) -> str:
        """The path as the log may hold it: on one line, bounded, and without secrets."""
        written = unquote(path)
        for prefix, name in self._private:
            if name.search(written):
                return prefix + "…"
        return path.partition("?")[0].replace(" ", "%20")[:MAX_LOGGED_PATH]
