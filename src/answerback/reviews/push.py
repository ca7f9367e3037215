"""An LLM that takes reviews and answers them later, by webhook."""

import json

from yarl import URL

from answerback.http.client.client import RequestHead
from answerback.kernel.errors import ErrorCode
from answerback.kernel.heavy import HeldBytes
from answerback.kernel.instruments import Instruments
from answerback.kernel.json import Json
from answerback.kernel.provider_error import ProviderError
from answerback.kernel.telemetry import SpanKind
from answerback.llm.errors.failures import read_document
from answerback.llm.errors.redaction import redact_error
from answerback.llm.limiter import UpstreamLimiter
from answerback.llm.observed import ObservedCall
from answerback.llm.transport import Transport, json_headers
from answerback.reviews.model import FileRef, Review

REVIEWS = "reviews"
"""Stands for a model where calls are limited and counted: this LLM is asked for none."""

_REMEDIES = {
    ErrorCode.UPSTREAM_AUTH: "check LLM_API_KEY",
    ErrorCode.UPSTREAM_CREDIT: "check the account of LLM_API_KEY",
    ErrorCode.UPSTREAM_REFUSED: "check LLM_API_URL and what was sent",
}


class PushProvider:
    """Implements `ReviewLLM` over `POST {api_url}/v1/reviews`, never retrying. Its calls are limited, counted and
    traced; each lasts until that LLM has taken the review. `connect_timeout` is in seconds."""

    name = "push"

    def __init__(
        self,
        api_url: str,
        api_key: str | None,
        connect_timeout: float,
        limiter: UpstreamLimiter,
        instruments: Instruments,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._secrets = (api_key,) if api_key else ()
        self._transport = Transport(connect_timeout, HeldBytes())
        self._limiter = limiter
        self._instruments = instruments
        self._head = RequestHead("POST", URL(self._api_url + "/v1/reviews"), json_headers(api_key))

    async def submit(self, job_id: str, tenant_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Any 2xx means taken, whatever its body says. Raises ProviderError for everything else."""
        end = await self._limiter.begin(REVIEWS, tenant_id, timeout, queued=True)
        attributes = {"gen_ai.operation.name": "review", "gen_ai.provider.name": self.name}
        span = self._instruments.tracer.begin(f"review {self.name}", SpanKind.CLIENT, attributes)
        call = ObservedCall(self.name, REVIEWS, self._instruments, span)
        try:
            await self._post(_body(job_id, callback_url, review), timeout)
        except BaseException as error:
            call.end(error)
            end(error)
            raise
        call.end(None)
        end(None)

    async def _post(self, body: dict[str, Json], timeout: float) -> None:
        encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            response = await self._transport.open(self._head, encoded, timeout)
            try:
                if not 200 <= response.status < 300:
                    said, broken = await response.read_what_came()
                    read_document(response, said, self._instruments.clock.now(), broken)
            finally:
                response.close()
        except ProviderError as error:
            redact_error(error, self._api_url, self._secrets)
            if error.http_status is None or (remedy := _REMEDIES.get(error.failure.code)) is None:
                raise
            raise _refused(error, error.http_status, remedy) from None

    async def close(self) -> None:
        await self._transport.close()


_PATH_SHOWN = 502
"""The status that a refusal is shown with where the path is wrong, not the request."""


def _refused(error: ProviderError, status: int, remedy: str) -> ProviderError:
    """Says why in that LLM's own words only where it refuses the review, not the account or the path."""
    said = error.failure.code is ErrorCode.UPSTREAM_REFUSED and error.shown_status != _PATH_SHOWN
    why = error.failure.message if said else ""
    words = f"the LLM refused the review with {status}; {remedy}{f'; it said: {why}' if why else ''}"
    refused = ProviderError(error.failure.code, words, retryable=False, http_status=status, reason=error.reason)
    refused.base_url, refused.hidden_code = error.base_url, error.hidden_code
    return refused


def _body(job_id: str, callback_url: str, review: Review) -> dict[str, Json]:
    payload = {
        "submission_id": review.submission_id,
        "file_refs": [_file(each) for each in review.file_refs],
        "student_id": review.student_id,
        "metadata": review.metadata,
    }
    return {"job_id": job_id, "callback_url": callback_url, "payload": payload}


def _file(ref: FileRef) -> dict[str, Json]:
    return {"url": ref.url} if ref.pages is None else {"url": ref.url, "pages": list(ref.pages)}
