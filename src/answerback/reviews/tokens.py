"""The tokens that authorize an LLM to answer a review by webhook."""

import base64
import hmac

from answerback.database.service_secrets import ServiceSecrets
from answerback.kernel.errors import Unauthorized

SECRET = "llm-callback-tokens"  # noqa: S105 (the name of one)


class CallbackTokens:
    """One token per job, derived from a secret that only the database holds: no token is stored, and none can be
    guessed. A secret that signs callbacks would not do: receivers know it, and it may be rotated.
    """

    def __init__(self, secrets: ServiceSecrets) -> None:
        self._secrets = secrets

    async def token(self, job_id: str) -> str:
        """Raises StorageUnavailable."""
        code = await self._secrets.code(SECRET, job_id.encode())
        return base64.urlsafe_b64encode(code).decode().rstrip("=")

    async def check(self, job_id: str, presented: str | None) -> None:
        """Compares in constant time. Raises Unauthorized, StorageUnavailable."""
        if not presented:
            raise Unauthorized("this callback needs its token: call back to the whole URL that came with the job")
        if not hmac.compare_digest((await self.token(job_id)).encode(), presented.encode("utf-8", "replace")):
            raise Unauthorized("this token is not the job's: call back to the whole URL that came with the job")
