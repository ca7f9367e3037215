"""The codes of error responses that no Refusal stands for, each with its status.

The docstring of each is its row in `docs/reference/errors.md` (`make docs`).
"""

from typing import NamedTuple


class Code(NamedTuple):
    """The first fields of an ErrorContent."""

    status: int
    code: str


BAD_FORM = Code(400, "bad_request")
"""The form is not well-formed `multipart/form-data`."""
INVALID_HTTP = Code(400, "invalid_http")
"""The request is not valid HTTP. The connection is closed."""
UNKNOWN_PATH = Code(404, "not_found")
"""There is no such path; the message names what is near."""
WRONG_METHOD = Code(405, "method_not_allowed")
"""The path does not take this method; `Allow` lists those that it takes."""
REQUEST_TIMEOUT = Code(408, "request_timeout")
"""The request did not arrive in time. The connection is closed; send it again."""
HEADERS_TOO_LARGE = Code(431, "headers_too_large")
"""The path and the headers are too long, or the headers too many. The connection is closed."""
INTERNAL = Code(500, "internal")
"""A fault of the service, which its log describes under the request's `x-request-id`."""
CODING_UNKNOWN = Code(501, "transfer_coding_unknown")
"""The request's `Transfer-Encoding` is not `chunked`. The connection is closed."""
METHOD_UNKNOWN = Code(501, "method_unknown")
"""The request's method is none of HTTP's, or is CONNECT. The connection is closed."""
NOT_READY = Code(503, "not_ready")
"""`/readyz`: the service cannot take work now; the message says why."""
RESULTS_UNWRITABLE = Code(503, "results_unwritable")
"""The folder `BENCHMARKS_DIR` takes no file now."""
STOPPING = Code(503, "stopping")
"""The service is stopping and did not finish the request. Send it again."""
STORAGE_UNAVAILABLE = Code(503, "storage_unavailable")
"""The database cannot take the request now. Nothing was stored; send it again."""
TOO_MANY_CONNECTIONS = Code(503, "overloaded")
"""The service has too many open connections. Try again."""
VERSION_UNKNOWN = Code(505, "http_version_unknown")
"""The request is of another version of HTTP than 1.0 and 1.1. The connection is closed."""
