"""Why a file is not read."""


class FileError(Exception):
    """A file that a review refers to cannot be read; the message is ours and says what to do. With a `wait` its server
    was not asked, and may be asked in so many seconds."""

    def __init__(self, message: str, *, retryable: bool = False, wait: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.wait = wait
