"""Why an attempt to send a callback got no response."""


class SendError(Exception):
    """An attempt to send a callback got no usable response: refused address, connection, TLS, deadline, broken HTTP."""


class NotSent(SendError):
    """This machine had nothing left to connect by: the receiver knows of no attempt, and none counts."""
