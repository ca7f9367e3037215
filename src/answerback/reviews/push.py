"""An LLM that takes reviews and answers them later, by webhook."""

import json

from yarl import URL

from answerback import __version__
from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.kernel.instruments import Instruments
from answerback.kernel.json import Json
from answerback.kernel.telemetry import SpanKind
from answerback.llm.completions import decode
from answerback.llm.failures import failure
from answerback.llm.limiter import UpstreamLimiter
from answerback.llm.observed import ObservedCall
from answerback.llm.transport import Transport
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
        self._url = URL(api_url.rstrip("/") + "/v1/reviews")
        self._transport = Transport(connect_timeout)
        self._limiter = limiter
        self._instruments = instruments
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"answerback/{__version__}",
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def submit(self, job_id: str, tenant_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Any 2xx means taken, whatever its body says. Raises ProviderError for everything else."""
        end = await self._limiter.begin(REVIEWS, tenant_id, timeout, queued=True)
        attributes = {"gen_ai.operation.name": "review", "gen_ai.provider.name": self.name}
        span = self._instruments.tracer.begin(f"review {self.name}", SpanKind.CLIENT, attributes)
        call = ObservedCall(self.name, REVIEWS, self._instruments.metrics, span)
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
        response = await self._transport.open("POST", self._url, self._headers, encoded, timeout)
        try:
            if 200 <= response.status < 300:
                return
            document = decode(await response.read())
        finally:
            response.close()
        error = document.get("error") if isinstance(document, dict) else None
        refused = failure(response.status, response.headers, error, self._instruments.clock.now())
        if (remedy := _REMEDIES.get(refused.failure.code)) is None:
            raise refused
        words = f"the LLM refused the review with {response.status}; {remedy}"
        raise ProviderError(refused.failure.code, words, retryable=False, http_status=response.status)

    async def close(self) -> None:
        await self._transport.close()


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
