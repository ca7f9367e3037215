"""Why an attempt to send a callback got no response."""


class SendError(Exception):
    """An attempt to send a callback got no usable response: refused address, connection, TLS, deadline, broken HTTP.
    `waited` is as that of a response."""

    def __init__(self, message: str, waited: float = 0.0) -> None:
        super().__init__(message)
        self.waited = waited


class NotSent(SendError):
    """This machine had nothing left to connect by: the receiver knows of no attempt, and none counts."""
