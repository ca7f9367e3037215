"""The webhook relay: a message in, 202 at once, the answer to the callback URL."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from answerback.accounts.auth import Authenticator
from answerback.http.bodies import body_schema, read_body
from answerback.http.fields import CheckUrl
from answerback.http.headers import REPLAYED, idempotency_key
from answerback.http.openapi import headers
from answerback.http.openapi_parts import ACCEPT_ERRORS, CALLBACK, IDEMPOTENCY_KEY
from answerback.http.responses import respond
from answerback.jobs.model import Submission
from answerback.jobs.submit import Submitter
from answerback.relay.bodies import AcceptedMessage, Callback
from answerback.relay.kind import MessageKind
from answerback.relay.request import EXAMPLE, WebhookMessage


def router(kind: MessageKind, submitter: Submitter, authenticator: Authenticator, check_url: CheckUrl) -> APIRouter:
    """`POST /webhook`."""
    routes = APIRouter(tags=["webhook relay"])
    callbacks = APIRouter()

    @callbacks.post("{$request.body#/callback_url}", summary="The answer", **CALLBACK)
    def message_answered(body: Callback) -> None:
        """Signed. Answer with any 2xx; `webhook-id` stays the same over all attempts."""

    async def create_message(request: Request) -> Response:
        """Stores the message and answers 202 at once; the LLM's answer goes to `callback_url`, signed, in the
        conversation's order. Once the 202 is there nothing is lost."""
        caller = await authenticator.caller(request)
        key = idempotency_key(request)
        body = await read_body(request, WebhookMessage, check_url)
        args = body.args()
        accepted = await submitter.submit(
            Submission(
                kind=kind,
                args=args,
                tenant_id=caller.tenant_id,
                callback_url=body.callback_url,
                conversation_key=args.conversation_key(body.callback_url),
                idempotency_key=key,
                key_id=caller.key_id,
            )
        )
        message = AcceptedMessage(
            job_id=accepted.job_id, status="queued", session_id=body.session_id, seq=accepted.position
        )
        again = {} if accepted.created else REPLAYED
        return respond(202, message, {"Location": f"/v1/jobs/{accepted.job_id}", **again})

    routes.add_api_route(
        "/webhook",
        create_message,
        methods=["POST"],
        status_code=202,
        summary="Send a message, get the answer on your callback URL",
        response_model=AcceptedMessage,
        response_description="Stored; the answer will come",
        responses=ACCEPT_ERRORS | {202: {"headers": headers("Location")}},
        callbacks=callbacks.routes,
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_schema(WebhookMessage, EXAMPLE)},
    )
    return routes
