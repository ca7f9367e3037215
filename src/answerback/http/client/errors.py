"""How an exchange can fail. The texts are for a developer; callers find their own words by the class."""


class HttpError(Exception):
    """An exchange failed."""


class NameNotFound(HttpError):
    """The server's name has no address."""


class ConnectTimeout(HttpError):
    """Name, connection and TLS took too long."""


class ConnectFailed(HttpError):
    """No address took the connection, or the TLS handshake failed: its `__cause__` is the OSError."""


class Disconnected(HttpError):
    """The connection closed before the head of a response had come."""


class StaleConnection(Disconnected):
    """A connection that had been used before closed without a byte of response: its server may have closed it before
    the request came."""


class NotHttp(HttpError):
    """What came is not HTTP/1.1."""


class SpeaksTls(NotHttp):
    """What came is an alert of TLS: the request was sent in plain."""


class TooMuchFraming(HttpError):
    """A server sends more heads and framing than an answer can need."""


class BodyBroken(HttpError):
    """The head of a response has come, and the rest of it cannot be read to its end."""


class BodyUndecodable(BodyBroken):
    """The body cannot be decompressed."""


PLAIN_HTTP = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""OpenSSL's words for an answer that is no TLS."""
