"""uvicorn's HTTP protocol with a bound on what comes before a request's body: the parser itself knows none."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and all headers; what one read brings beyond it is still taken."""

REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: 113\r\n\r\n"
    b'{"detail":"the headers are too large","error":{"code":"headers_too_large","message":"the headers are too large"}}'
)


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request does not come to its body in time to be worth reading."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        # A read that holds the end of one request and the start of the next is not counted: it is bounded by itself.
        began_before = self._in_head
        super().data_received(data)
        if not (began_before and self._in_head):
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
