"""An LLM that takes reviews and answers them later, by webhook."""

import json
from collections.abc import Callable

from yarl import URL

from answerback import __version__
from answerback.kernel.errors import ErrorCode, ProviderError
from answerback.llm.completions import decode
from answerback.llm.failures import failure
from answerback.llm.model import Json
from answerback.llm.transport import Transport
from answerback.reviews.model import FileRef, Review

REVIEWS = "reviews"
"""What stands in a model's place where its calls are paced and counted: it is asked for none."""


_REMEDIES = {
    ErrorCode.UPSTREAM_AUTH: "check LLM_API_KEY",
    ErrorCode.UPSTREAM_CREDIT: "check the account of LLM_API_KEY",
    ErrorCode.UPSTREAM_REFUSED: "check LLM_API_URL and what was sent",
}


class PushProvider:
    """Implements `ports.ReviewLLM` over `POST {api_url}/v1/reviews`, never retrying.

    `connect_timeout` is in seconds; `now` is the wall clock in epoch milliseconds, for waits given as a moment.
    """

    name = "push"

    def __init__(self, api_url: str, api_key: str | None, connect_timeout: float, now: Callable[[], int]) -> None:
        self._url = URL(api_url.rstrip("/") + "/v1/reviews")
        self._transport = Transport(connect_timeout)
        self._now = now
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"answerback/{__version__}",
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def submit(self, job_id: str, callback_url: str, review: Review, timeout: float) -> None:
        """Any 2xx means taken, whatever its body says. Raises ProviderError for everything else."""
        body = json.dumps(_body(job_id, callback_url, review), ensure_ascii=False, separators=(",", ":")).encode()
        async with self._transport.stream(self._url, self._headers, body, timeout) as response:
            if 200 <= response.status < 300:
                return
            document = decode(await response.read())
            error = document.get("error") if isinstance(document, dict) else None
            refused = failure(response.status, response.headers, error, self._now())
        code, status = refused.failure.code, response.status
        if (remedy := _REMEDIES.get(code)) is None:
            raise refused
        words = f"the LLM refused the review with {status}; {remedy}"
        raise ProviderError(code, words, retryable=False, http_status=status)

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
