"""The failure of an LLM's side: whether and when to try again, and whose trouble it is."""

from enum import StrEnum

from answerback.kernel.errors import ErrorCode, Failure


class Concerns(StrEnum):
    """Whose trouble a provider's failure is, and so what is asked last for a while where there are others to ask."""

    REQUEST = "request"
    """This request alone: nothing is."""
    MODEL = "model"
    """The provider's model."""
    ACCOUNT = "account"
    """All models of the provider."""


class ProviderError(Exception):
    """The LLM did not answer. `retry_after` is in seconds, None where the upstream named no time. `asked` is False
    where our limiter refused; `retry_after` is then the wait for a slot. `http_status` is the upstream's, None without
    a response. `shown_status` is the status of synchronous routes where the failure's code does not decide it.
    `elsewhere`: another provider may answer, though trying this one again would not help. `concerns` is None where the
    code decides it. For operators only: `reason`, the upstream's own text, redacted; `hidden_code`, its code where
    clients do not see it; `remark`, of ours, which follows the provider's `base_url`. `exhausted`: our own retries are
    used up.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        asked: bool = True,
        http_status: int | None = None,
        shown_status: int | None = None,
        elsewhere: bool = False,
        concerns: Concerns | None = None,
        param: str | None = None,
        upstream_code: str | None = None,
        reason: str | None = None,
        remark: str | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, param, upstream_code)
        self.retryable = retryable
        self.retry_after = retry_after
        self.asked = asked
        self.http_status = http_status
        self.shown_status = shown_status
        self.elsewhere = elsewhere
        self.concerns = concerns
        self.reason = reason
        self.remark = remark
        self.hidden_code: str | None = None
        self.base_url: str | None = None
        self.exhausted = False

    @property
    def for_operator(self) -> str:
        """What went wrong, and where: `http://localhost:11434/v1 refused the connection; is it running?`. Of the
        upstream's own text it holds what every caller may see, and its code."""
        if self.base_url is None:
            return self.failure.message
        if self.remark is not None:
            return f"{self.base_url} {self.remark}"
        message = self.failure.message.removeprefix("the upstream ")
        code = f"; its code: {self.hidden_code}" if self.hidden_code else ""
        return f"{self.base_url}{' ' if message != self.failure.message else ': '}{message}{code}"
