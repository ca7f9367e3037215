"""Door 5: the models as OpenAI lists them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.chat.openapi_parts import MODEL_ERRORS, MODELS_ERRORS
from answerback.http.errors import json_response
from answerback.http.openai_errors import OpenAIRoute
from answerback.kernel.errors import NotFound
from answerback.llm.catalog import Catalog
from answerback.llm.model import Model


class ModelBody(BaseModel):
    """A model. `created` is in epoch seconds, 0 where the upstream told none."""

    id: str = Field(examples=["openai/gpt-oss-20b:free"])
    object: Literal["model"]
    created: int = Field(examples=[1754418229])
    owned_by: str = Field(examples=["openai"])


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelBody]


ModelId = Annotated[
    str, Path(description="A model's id, as `GET /v1/models` tells it.", examples=["openai/gpt-oss-20b:free"])
]


class ModelNotFound(NotFound):
    code = "model_not_found"


def router(catalog: Catalog, authenticator: Authenticator) -> APIRouter:
    """`GET /v1/models` and `/v1/models/{id}`."""
    door = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute)

    @door.get("/models", summary="List models, as OpenAI's", response_model=ModelList, responses=MODELS_ERRORS)
    async def list_models(request: Request) -> Response:
        """What the provider offers; kept for `CACHE_TTL` seconds."""
        await authenticator.tenant(request)
        return json_response(200, {"object": "list", "data": [model_body(each) for each in await catalog.list()]})

    @door.get("/models/{model_id:path}", summary="One model", response_model=ModelBody, responses=MODEL_ERRORS)
    async def show(request: Request, model_id: ModelId) -> Response:
        """A slash in the id may be written as it is, or as `%2F`."""
        await authenticator.tenant(request)
        for each in await catalog.list():
            if each.id == model_id:
                return json_response(200, model_body(each))
        raise ModelNotFound(f"there is no model {model_id!r}; GET /v1/models lists them")

    return door


def model_body(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
