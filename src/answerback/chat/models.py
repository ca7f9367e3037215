"""The models as OpenAI lists them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.openapi_parts import MODEL_ERRORS, MODELS_ERRORS
from answerback.http.openai_errors import OpenAIRoute
from answerback.http.responses import respond
from answerback.kernel.errors import NotFound
from answerback.llm.catalog import Catalog


class ModelBody(BaseModel):
    """A model. `created` is in epoch seconds, 0 where the upstream has none."""

    id: str = Field(examples=["openai/gpt-oss-20b:free"])
    object: Literal["model"] = "model"
    created: int = Field(examples=[1754418229])
    owned_by: str = Field(examples=["openai"])


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelBody]


ModelId = Annotated[
    str, Path(description="A model's id, as in `GET /v1/models`.", examples=["openai/gpt-oss-20b:free"])
]


class ModelNotFound(NotFound):
    """`GET /v1/models/{id}`: there is no such model."""

    code = "model_not_found"


def router(catalog: Catalog, authenticator: Authenticator) -> APIRouter:
    """`GET /v1/models` and `/v1/models/{id}`."""
    router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @router.get("/models", summary="List models, as OpenAI's", response_model=ModelList, responses=MODELS_ERRORS)
    async def list_models(request: Request) -> Response:
        """What the provider offers; kept for `CACHE_TTL` seconds. Counts against no rate."""
        await authenticator.polling_tenant(request)
        return respond(200, ModelList.model_validate({"data": await catalog.list()}, from_attributes=True))

    @router.get("/models/{model_id:path}", summary="One model", response_model=ModelBody, responses=MODEL_ERRORS)
    async def get_model(request: Request, model_id: ModelId) -> Response:
        """A slash in the id may be written as it is, or as `%2F`. Counts against no rate."""
        await authenticator.polling_tenant(request)
        if (model := await catalog.find(model_id)) is not None:
            return respond(200, ModelBody.model_validate(model, from_attributes=True))
        raise ModelNotFound(f"there is no model {model_id!r}; GET /v1/models lists them")

    return router
