"""Signing a browser in, and what a client may know of itself and of the service."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator, key_in
from answerback.accounts.session_cookie import cookie_with, is_of_this_origin, no_cookie
from answerback.http.openapi import KEYLESS
from answerback.http.openapi_parts import KEY_ERRORS, QUERY_ERRORS, errors
from answerback.http.responses import NO_STORE, respond
from answerback.kernel.errors import Unauthorized

PATH = "/v1/session"
SET_COOKIE = {
    "Set-Cookie": {"description": "`answerback_key=…; HttpOnly; Path=/; SameSite=Strict`", "schema": {"type": "string"}}
}

SHOWN: dict[int | str, dict[str, Any]] = {**QUERY_ERRORS, 204: {"description": "Nobody, where that is `optional`"}}
KeyIsOptional = Annotated[
    bool, Query(description="Answer 204 in place of 401 where no valid key is sent: browsers log each 401 as an error.")
]


@dataclass(frozen=True, slots=True)
class About:
    """The facts of a service that its clients may know."""

    version: str
    mock: bool
    default_model: str


class SessionKey(BaseModel):
    """The key of a request; one of the settings has the setting's name as its id."""

    id: str = Field(examples=["key_01a1fc8454427e0488ed70bfee41f52c"])
    name: str = Field(examples=["shop"])


class SessionBody(BaseModel):
    """The caller, and the service it called."""

    tenant: str = Field(description="The id of the tenant whose objects the caller sees.", examples=["default"])
    key: SessionKey | None = Field(description="Null where no key is asked for.")
    operator: bool = Field(
        description="Whether the caller may manage keys, and see every tenant's jobs.", examples=[False]
    )
    keyless: bool = Field(description="Whether the service asks nobody for a key.", examples=[False])
    version: str = Field(description="The service's.", examples=["0.1.0"])
    mock: bool = Field(description="Whether the mock answers in place of an LLM.", examples=[False])
    default_model: str = Field(
        description="The model that answers requests which name none.", examples=["openai/gpt-oss-20b:free"]
    )


def router(authenticator: Authenticator, about: About) -> APIRouter:
    """`/v1/session`"""
    routes = APIRouter(tags=["keys"])
    _add_show(routes, authenticator, about)
    _add_sign_in(routes, authenticator)
    _add_sign_out(routes)
    return routes


def _add_show(routes: APIRouter, authenticator: Authenticator, about: About) -> None:
    @routes.get(PATH, summary="Who am I?", response_model=SessionBody, responses=SHOWN)
    async def get_session_of_caller(request: Request, optional: KeyIsOptional = False) -> Response:
        """The caller's tenant and key, and the service it called. It does not count against the rate."""
        try:
            caller = await authenticator.polling_caller(request)
        except Unauthorized:
            if not optional:
                raise
            return Response(status_code=204, headers=NO_STORE)
        key = None if caller.key_id is None else SessionKey(id=caller.key_id, name=caller.key_name or caller.key_id)
        body = SessionBody(
            tenant=caller.tenant_id,
            key=key,
            operator=caller.operator,
            keyless=caller.key_id is None,
            version=about.version,
            mock=about.mock,
            default_model=about.default_model,
        )
        return respond(200, body, NO_STORE)


def _add_sign_in(routes: APIRouter, authenticator: Authenticator) -> None:
    @routes.post(
        PATH,
        status_code=204,
        response_description="Signed in",
        summary="Sign a browser in",
        responses={**KEY_ERRORS, 204: {"headers": SET_COOKIE}},
    )
    async def sign_in(request: Request) -> Response:
        """Puts the key of the `Authorization` header into a cookie that no script can read and that ends with the
        browser. Requests without that header then use the cookie, where a page of this service sends them. Where no key
        is asked for, there is nothing to put."""
        _refuse_other_origins(request)
        caller = await authenticator.caller(request)
        key = key_in(request.headers.get("authorization", ""))
        if caller.key_id is None or not key:
            return Response(status_code=204)
        return Response(status_code=204, headers={"Set-Cookie": cookie_with(key, request)})


def _add_sign_out(routes: APIRouter) -> None:
    @routes.delete(
        PATH,
        status_code=204,
        response_description="Signed out",
        summary="Sign a browser out",
        responses={**errors(_401="A page of another origin sends it"), 204: {"headers": SET_COOKIE}},
        openapi_extra=KEYLESS,
    )
    async def sign_out(request: Request) -> Response:
        """Clears the cookie; the key stays valid."""
        _refuse_other_origins(request)
        return Response(status_code=204, headers={"Set-Cookie": no_cookie(request)})


def _refuse_other_origins(request: Request) -> None:
    """A client that is no browser names no origin."""
    names_one = not {"origin", "sec-fetch-site"}.isdisjoint(request.headers.keys())
    if names_one and not is_of_this_origin(request):
        raise Unauthorized("a page of another origin may not sign a browser in or out")
