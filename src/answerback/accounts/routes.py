"""Keys over HTTP, for operators."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.accounts.key_use import KeyUses
from answerback.accounts.model import hash_key, key_name, new_key
from answerback.accounts.store import DEFAULT_RATE, AccountStore
from answerback.http.bodies import StrictBody, body_schema, read_body
from answerback.http.fields import EMPTY_IS_ABSENT, MAX_PAGE_SIZE, Name, PageSize, no_nul
from answerback.http.idempotent_routes import Idempotent
from answerback.http.known_queries import KNOWN_QUERIES
from answerback.http.openapi_parts import IDEMPOTENCY_KEY, KEY_ERRORS, NOT_JSON, conflict, errors, not_found
from answerback.http.responses import NO_STORE, Time, is_none, respond
from answerback.kernel.rate import parse_rate
from answerback.queue.fair_order import MAX_WEIGHT

SecretOf: TypeAlias = Callable[[str], Awaitable[str]]
"""The secret that signs a tenant's callbacks, by the tenant's id."""

KEY = "key_01a1fc8454427e0488ed70bfee41f52c"


class KeyBody(BaseModel):
    """A key, without its text. `rate_limit` is null where the setting RATE_LIMIT counts, `last_used_at` before the
    first request, `revoked_at` while the key is valid. `weight` is its tenant's share of what is short, beside tenants
    of weight 1."""

    id: str = Field(examples=[KEY])
    tenant_id: str = Field(examples=["tnt_01a1fc8454427e0488ed70bfd1c5a7e4"])
    name: str = Field(examples=["shop"])
    operator: bool = Field(examples=[False])
    rate_limit: str | None = Field(examples=["1000/hour"])
    weight: int = Field(examples=[1])
    created_at: Time
    last_used_at: Time | None = Field(description="A minute late at most.", examples=["2026-01-01T12:00:00.000Z"])
    revoked_at: Time | None = Field(examples=[None])


class CreatedKey(KeyBody):
    """`key` is shown this once. `signing_secret` signs the callbacks of a new tenant, and is null for an existing
    one."""

    key: str = Field(examples=["ab_V2hhdCBhbiBBUEkga2V5IG9mIHRoaXMgc2VydmljZQ"])
    signing_secret: str | None = Field(examples=["whsec_bm9ib2R5IGd1ZXNzZXMgdGhpcyBvbmUgZXZlcg=="])


class KeyList(BaseModel):
    """Keys, the newest first."""

    items: list[KeyBody]
    next: str | None = Field(
        None,
        description="Goes into `before` for older keys; there only if there are some.",
        examples=[KEY],
        exclude_if=is_none,
    )


def _rate(value: str) -> str:
    parse_rate(value)
    return value


def _rate_or_default(value: str) -> str:
    return value if value == DEFAULT_RATE else _rate(value)


class NewKey(StrictBody):
    """`tenant` is a tenant's id, or a name or id of one of its keys; without it the key gets a tenant of its own.
    `weight` becomes the tenant's share of what is short, beside tenants of weight 1."""

    name: Annotated[str, AfterValidator(key_name)]
    tenant: Annotated[str, AfterValidator(no_nul)] | None = None
    operator: bool = False
    rate_limit: Annotated[str, AfterValidator(_rate)] | None = None
    weight: Annotated[int, Field(ge=1, le=MAX_WEIGHT)] | None = None


class KeyChange(StrictBody):
    """What is not named stays. With the `rate_limit` "default" the setting RATE_LIMIT counts from now on. `weight` is
    that of the key's tenant, and so of all its keys."""

    rate_limit: Annotated[str, AfterValidator(_rate_or_default)] | None = None
    weight: Annotated[int, Field(ge=1, le=MAX_WEIGHT)] | None = None


KeyId = Annotated[str, Path(description="The key's id.", examples=[KEY])]
NO_LIVE_KEY = not_found(f"there is no live key '{KEY}'", "There is no such live key")
Before = Annotated[
    Name | None,
    EMPTY_IS_ABSENT,
    Query(description="Only older keys than the one of this id: the `next` of a page."),
]
OPERATOR_ERRORS = KEY_ERRORS | errors(_403="The key is not an operator's")


def router(
    store: AccountStore, uses: KeyUses, authenticator: Authenticator, idempotent: Idempotent, secret_of: SecretOf
) -> APIRouter:
    """`/v1/keys…`"""
    routes = APIRouter(prefix="/v1/keys", tags=["keys"])
    _add_list(routes, store, uses, authenticator)
    _add_create(routes, store, authenticator, idempotent, secret_of)
    _add_change(routes, store, authenticator)
    _add_revoke(routes, store, authenticator)
    return routes


def _add_list(routes: APIRouter, store: AccountStore, uses: KeyUses, authenticator: Authenticator) -> None:
    @routes.get(
        "",
        summary="Keys, newest first",
        response_model=KeyList,
        responses=OPERATOR_ERRORS | errors(_422="A parameter is wrong; each is named"),
        dependencies=KNOWN_QUERIES,
    )
    async def list_keys(request: Request, limit: PageSize = MAX_PAGE_SIZE, before: Before = None) -> Response:
        """Revoked ones too; none of them shows the key itself. For operators."""
        await authenticator.operator(request)
        await uses.write()
        page = await store.page_of_keys(before, limit or MAX_PAGE_SIZE)
        return respond(200, KeyList(items=[KeyBody(**asdict(key)) for key in page.keys], next=page.following))


def _add_create(
    routes: APIRouter, store: AccountStore, authenticator: Authenticator, idempotent: Idempotent, secret_of: SecretOf
) -> None:
    @routes.post(
        "",
        status_code=201,
        summary="Make a key",
        response_model=CreatedKey,
        responses=OPERATOR_ERRORS
        | not_found("there is no tenant 'shop', nor a key of this name", "There is no such tenant")
        | errors(_413="The body is too large")
        | errors(_415=NOT_JSON, _422="A field is wrong; each is named")
        | conflict(
            "Several tenants have a key of this name, or the Idempotency-Key was used before",
            "several tenants have a key named 'shop'; name one by its id",
        ),
        openapi_extra={
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": body_schema(NewKey, {"name": "shop", "rate_limit": "1000/hour"}),
        },
    )
    async def create_key(request: Request) -> Response:
        """The key is shown this once: only its hash is stored. So a request that repeats an `Idempotency-Key` makes no
        other key, and gets a 409 instead of the first response. For operators.

        The first key of a service ends its time without keys: every call needs one from then on. Make the first one an
        operator's, or set OPERATOR_TOKEN, to go on managing keys."""
        caller = await authenticator.operator(request)
        asked = await read_body(request, NewKey)

        async def create() -> Response:
            key = new_key()
            made = await store.create_key(
                asked.name,
                hash_key(key),
                asked.rate_limit,
                tenant=asked.tenant,
                operator=asked.operator,
                weight=asked.weight,
            )
            authenticator.forget()
            secret = None if asked.tenant is not None else await secret_of(made.tenant_id)
            return respond(201, CreatedKey(**asdict(made), key=key, signing_secret=secret), NO_STORE)

        return await idempotent(request, caller.tenant_id, asked, create, stored=False)


def _add_change(routes: APIRouter, store: AccountStore, authenticator: Authenticator) -> None:
    @routes.patch(
        "/{key_id}",
        summary="Change a key's limit, or its tenant's weight",
        response_model=KeyBody,
        responses=OPERATOR_ERRORS
        | NO_LIVE_KEY
        | errors(_413="The body is too large", _415=NOT_JSON, _422="A field is wrong; each is named"),
        openapi_extra={"requestBody": body_schema(KeyChange, {"rate_limit": "1000/hour", "weight": 3})},
    )
    async def change_key(request: Request, key_id: KeyId) -> Response:
        """Other processes notice a limit within a second, a weight within a minute. For operators."""
        await authenticator.operator(request)
        asked = await read_body(request, KeyChange)
        changed = await store.change_key(key_id, asked.rate_limit, asked.weight)
        authenticator.forget()
        return respond(200, KeyBody(**asdict(changed)))


def _add_revoke(routes: APIRouter, store: AccountStore, authenticator: Authenticator) -> None:
    @routes.delete(
        "/{key_id}",
        status_code=204,
        response_description="Revoked",
        summary="Revoke a key",
        responses=OPERATOR_ERRORS | NO_LIVE_KEY,
    )
    async def revoke_key(request: Request, key_id: KeyId) -> Response:
        """The key is refused from now on, in other processes within a second. Its tenant's jobs and conversations stay,
        for other keys of that tenant. For operators."""
        await authenticator.operator(request)
        await store.revoke_key(key_id)
        authenticator.forget()
        return Response(status_code=204)
