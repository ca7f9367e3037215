"""The secret that signs a tenant's callbacks, shown to its own keys."""

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.http.caller import TenantOf
from answerback.http.idempotent_routes import Idempotent
from answerback.http.openapi_parts import IDEMPOTENCY_KEY, KEY_ERRORS, QUERY_ERRORS, conflict
from answerback.http.responses import NO_STORE, Time, respond
from answerback.webhooks.signing.secrets import SigningSecret, SigningSecrets


class SigningSecretBody(BaseModel):
    """`previous_expires_at`: until then the previous secret signs too, in signatures of its own; null where only one
    signs."""

    secret: str = Field(examples=["whsec_bm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlcg=="])
    created_at: Time
    previous_expires_at: Time | None = Field(examples=[None])


def router(secrets: SigningSecrets, tenant_of: TenantOf, idempotent: Idempotent) -> APIRouter:
    """`/v1/signing_secret` and `/v1/signing_secret/rotate`."""
    routes = APIRouter(prefix="/v1/signing_secret", tags=["signing secret"])

    @routes.get(
        "", summary="The secret that signs your callbacks", response_model=SigningSecretBody, responses=KEY_ERRORS
    )
    async def get_signing_secret(request: Request) -> Response:
        """It signs all callbacks of your tenant and no other's."""
        tenant_id = await tenant_of(request)
        return respond(200, _body(await secrets.live(tenant_id)), NO_STORE)

    @routes.post(
        "/rotate",
        summary="Replace the secret that signs your callbacks",
        response_model=SigningSecretBody,
        responses=QUERY_ERRORS
        | conflict(
            "The settings fix this secret, or the Idempotency-Key was used with another body",
            "CALLBACK_HMAC_SECRET is set: change it and restart; the old one signs on for 24 hours",
        ),
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )
    async def rotate_signing_secret(request: Request) -> Response:
        """Makes a new secret. For 24 hours callbacks carry a signature by the old one beside that by the new one, so
        that receivers can change over one by one."""
        tenant_id = await tenant_of(request)
        await request.body()

        async def make() -> Response:
            return respond(200, _body(await secrets.rotate(tenant_id)), NO_STORE)

        return await idempotent(request, tenant_id, None, make)

    return routes


def _body(live: Sequence[SigningSecret]) -> SigningSecretBody:
    current, *previous = live
    ends = previous[0].expires_at if previous else None
    return SigningSecretBody(secret=current.value, created_at=current.created_at, previous_expires_at=ends)
