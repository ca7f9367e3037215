"""What upstreams' errors mean, in every vendor's dialect: one table, read from the top; the first row that fits
decides.

A row fits where all that it names is there: one of its `words` among the error's codes, types, reasons and status
names; its `says` in the sentence; the status; a wait. What the sentence quotes is left out before `says` is tried.
"""

import re

from answerback.kernel.provider_error import Concerns
from answerback.llm.errors.account_dialects import ACCOUNT, FIREWALL
from answerback.llm.errors.error_bodies import ErrorBody
from answerback.llm.errors.filter_dialects import FILTERS
from answerback.llm.errors.meaning import NO_STATUS, RETRY_AFTER, Meaning, Row, in_parts, plain, row
from answerback.llm.errors.path_dialects import LIST_OF_MODELS, NO_ROUTE, NOWHERE
from answerback.llm.errors.plain_dialects import PLAIN
from answerback.llm.errors.sentences import CONTEXT, NO_MEMORY, NO_MODEL, NO_SLOT, NOT_LOADED, UNREADABLE, UNSUPPORTED

LONGEST_SENTENCE = 1_000
"""Characters in which a sentence is looked for: an upstream may write whatever it wants, and patterns cost time."""

_REQUEST = (NO_STATUS, 400, 403, 413, 422, 500)
_LOOKUP = (NO_STATUS, 400, 404, 410, 422)

TABLE: tuple[Row, ...] = (
    *FILTERS,
    row(
        Meaning.LIMITED,
        "OpenRouter, errors: 402 in_flight_budget_exhausted",
        statuses=(402,),
        words="in_flight_budget_exhausted",
        ours="the calls in flight fill the account's budget for now",
    ),
    row(
        Meaning.LIMITED,
        "OpenRouter, the same in its message",
        statuses=(402,),
        says=r"\bin_flight_budget_exhausted\b",
        ours="the calls in flight fill the account's budget for now",
    ),
    row(
        Meaning.LIMITED,
        "DashScope, error codes: 429 insufficient_quota and Throttling.AllocationQuota are limits a minute",
        statuses=(429,),
        says=r"allocated quota exceeded|error-code#(?:token|rate)-limit",
    ),
    row(
        Meaning.LIMITED,
        "Azure API Management, quota-by-key and llm-token-limit: 403 with the time when the quota is replenished",
        statuses=(403,),
        says=r"out of call volume quota|\b(?:quota|limit) (?:is |has been )?exceeded",
        asks_wait=True,
    ),
    row(
        Meaning.TOO_LARGE,
        "Groq (413) and OpenAI (429), rate_limit_exceeded: one request beyond the limit a minute",
        statuses=(NO_STATUS, 413, 429),
        says=r"request too large for\b",
    ),
    # Ahead of all other sentences: these quote the request, which may hold any of them.
    row(
        Meaning.REFUSED,
        "llama.cpp, server_error: 500 for images that its model cannot read, and for tools, calls and messages that it "
        "cannot parse; Ollama (missing data required for image input)",
        statuses=(500,),
        says=UNREADABLE,
    ),
    *ACCOUNT,
    # The request does not fit.
    row(
        Meaning.CONTEXT,
        "OpenAI (context_length_exceeded), llama.cpp, LiteLLM, GitHub Models (413, tokens_limit_reached)",
        words="context_length_exceeded exceed_context_size_error contextwindowexceedederror tokens_limit_reached "
        "context_window_exceeded prompt_too_long",
    ),
    row(Meaning.CONTEXT, "Zhipu: 1261; Spark: 10907", statuses=(NO_STATUS, 400), words="1261 10907"),
    row(
        Meaning.CONTEXT,
        "vLLM, Anthropic, Gemini, Bedrock, Mistral, Fireworks, Together (422), Cohere, DashScope, TGI, OpenRouter",
        statuses=_REQUEST,
        says=CONTEXT,
    ),
    row(
        Meaning.CAPACITY,
        "Ollama (500, memory), llama.cpp (no slot), vLLM and TGI (CUDA), TabbyAPI (still loading): sentences",
        statuses=(NO_STATUS, 424, 500, 501, 502, 503, 504, 507),
        says=f"{NO_MEMORY}|{NO_SLOT}",
    ),
    row(
        Meaning.CAPACITY,
        "LM Studio (400): it cannot load the model for now; its words come first",
        statuses=(400,),
        says=rf"^(?:error:? )?(?:the |cuda )?(?:{NO_MEMORY}|{NO_SLOT})",
    ),
    row(Meaning.CAPACITY, "LM Studio: 400 model_load_failed", statuses=(400,), words="model_load_failed"),
    row(
        Meaning.REFUSED,
        "OpenRouter: 404 for tools, images or parameters that no endpoint of the model takes",
        statuses=(NO_STATUS, 400, 404),
        says=UNSUPPORTED,
    ),
    row(
        Meaning.MODEL,
        "OpenAI, Azure (DeploymentNotFound), Groq, Mistral (1500), Together, Hugging Face, DashScope, GitHub Models",
        statuses=_LOOKUP,
        words="model_not_found modelnotfound model_not_available deploymentnotfound model_decommissioned invalid_model "
        "model_not_supported unknown_model model_not_exist resourcenotfoundexception model_deprecated "
        "operationnotsupported resource_not_found_error resource_does_not_exist invalidendpoint.closedendpoint "
        "invalidendpointormodel.notfound endpoint_not_found",
    ),
    row(
        Meaning.MODEL,
        "New API (503 model_not_found: no channel has the model; 500 model_price_error), Xinference, TabbyAPI",
        statuses=(500, 503),
        words="model_not_found model_price_error",
    ),
    row(Meaning.MODEL, "The same in their sentences", statuses=(500, 503), says=NOT_LOADED),
    row(
        Meaning.FAILED,
        "LM Studio (400): its model crashed, or was taken out, under the request; FastChat (400, 50001)",
        statuses=(NO_STATUS, 400),
        says=r"^(?:(?:the )?model (?:has crashed|(?:re|un)loaded)|channel error$|\W*network error due to high traffic)",
    ),
    row(
        Meaning.MODEL,
        "Zhipu 1211, SiliconFlow 20012, Cloudflare 5007, Mistral 1500: numbers of unknown models",
        statuses=(NO_STATUS, 400, 404),
        words="1211 20012 5007 1500",
    ),
    LIST_OF_MODELS,
    row(
        Meaning.MODEL,
        "vLLM, Ollama, DeepSeek, xAI, Anthropic, OpenRouter, Fireworks, Bedrock, LiteLLM: sentences",
        statuses=_LOOKUP,
        says=NO_MODEL,
    ),
    row(
        Meaning.WRONG_PATH,
        "Hugging Face: 410 for an address of the API that is no more",
        statuses=(410,),
        says=r"^https?://\S+ is no longer supported",
    ),
    row(Meaning.MODEL, "NVIDIA NIM, SambaNova: 410 for a retired model", statuses=(410,)),
    row(
        Meaning.LIMITED,
        "Bedrock (400 ThrottlingException), Google (RESOURCE_EXHAUSTED), OpenAI's and others' words in a 200 or stream",
        statuses=(NO_STATUS, 400, 500, 503),
        words="throttlingexception throttling toomanyrequestsexception too_many_requests toomanyrequests "
        "rate_limit_exceeded rate_limit_error rate_limited rate_limit ratelimitreached ratelimiterror "
        "rate_limit_reached_error requestlimitexceeded limitexceeded resource_exhausted limit_requests "
        "token_quota_exceeded",
    ),
    row(
        Meaning.LIMITED,
        "GitHub (403, secondary rate limit), gateways and streams that name no code: sentences",
        statuses=(NO_STATUS, 403, 500, 503),
        says=r"\brate[ -]limit(?:s|ed|ing)?\b|too many requests|request limit reached",
    ),
    row(
        Meaning.LIMITED,
        "MiniMax: 1002, 1039, 1041, 2045, 2056; Spark: 11201, 11202, 11203; Zhipu: 1302, 1303, 1304, 1308, 1310, 1313",
        statuses=(NO_STATUS,),
        words="1002 1039 1041 2045 2056 11201 11202 11203 1302 1303 1304 1308 1310 1313",
    ),
    row(
        Meaning.REFUSED,
        "MiniMax, error codes: 1042, 2013; Zhipu, error codes: 1210 to 1215",
        statuses=(NO_STATUS,),
        words="1042 2013 1210 1212 1213 1214 1215",
    ),
    row(
        Meaning.CAPACITY,
        "Anthropic (overloaded_error), Groq (498 capacity_exceeded), Mistral (3505), Google (UNAVAILABLE), Bedrock, "
        "Moonshot, llama.cpp (unavailable_error), Zhipu, SiliconFlow, DeepSeek (insufficient_system_resource)",
        statuses=(NO_STATUS, 400, 403, 408, 424, 498, 500, 502, 503, 529),
        words="overloaded overloaded_error capacity_exceeded engine_overloaded engine_overloaded_error "
        "model_overloaded "
        "server_overloaded serveroverloaded unavailable unavailable_error service_unavailable serviceunavailable "
        "serviceunavailableexception serviceunavailableerror modelnotreadyexception model_capacity_exhausted "
        "service_tier_capacity_exceeded slow_down insufficient_system_resource modelservingerror model_pending_deploy "
        "3040 3505 1305 1312 50505",
    ),
    row(
        Meaning.CAPACITY,
        "Ollama (server busy), Hugging Face (is currently loading), Together, Gemini, Groq, Databricks: sentences",
        statuses=(NO_STATUS, 498, 500, 502, 503, 529),
        says=r"overloaded|(?:at|over) capacity|capacity (?:temporarily )?exceeded|(?:too|server) busy|currently loading"
        r"|no capacity|scaling up",
    ),
    row(Meaning.CAPACITY, "Groq, errors: 498 flex tier; Anthropic, errors: 529", statuses=(498, 529)),
    *NOWHERE,
    row(
        Meaning.MODEL,
        "LiteLLM (NotFoundError): exceptions by name",
        statuses=(*_LOOKUP, 500),
        words="notfounderror",
    ),
    row(
        Meaning.FAILED,
        "LiteLLM (Timeout, InternalServerError, APIConnectionError, no database), in statuses of the caller's",
        statuses=(NO_STATUS, 400),
        words="timeout internalservererror apiconnectionerror badgatewayerror no_db_connection",
    ),
    row(
        Meaning.REFUSED,
        "LiteLLM (BadRequestError, UnprocessableEntityError), in a 500 or a stream",
        statuses=(NO_STATUS, 500),
        words="badrequesterror unprocessableentityerror",
    ),
    row(
        Meaning.REFUSED,
        "OpenAI, vLLM, Google, DashScope: names of a wrong request, in a stream or a 200",
        statuses=(NO_STATUS,),
        words="invalid_request_error bad_request_error badrequest bad_request invalid_argument invalid_parameter_error "
        "invalidparameter validation_error validationexception unsupported_parameter unsupported_value",
    ),
    *PLAIN,
    *NO_ROUTE,
    # What the status alone says.
    row(Meaning.AUTH, "RFC 9110, sections 15.5.2 and 15.5.8", statuses=(401, 407)),
    row(
        Meaning.AUTH,
        "RFC 9110, section 15.5.4: forbidden, for whatever reason",
        statuses=(403,),
        concerns=Concerns.MODEL,
    ),
    row(Meaning.CREDIT, "DeepSeek, OpenRouter, Cohere: 402", statuses=(402,)),
    row(Meaning.LIMITED, "RFC 6585, section 4", statuses=(429,)),
    row(Meaning.TOO_LARGE, "RFC 9110, section 15.5.14; Anthropic, errors: request_too_large", statuses=(413,)),
    row(
        Meaning.FAILED,
        "RFC 9110 (408), xAI (409), RFC 8470 (425), Bedrock and TGI (424), Google (499 CANCELLED)",
        statuses=(NO_STATUS, 408, 409, 424, 425, 499),
    ),
)

WORDS = frozenset[str]().union(*(each.words for each in TABLE))
"""Codes that anybody may see: they name a reason. Another one may name an account."""

BLOCKED = row(
    Meaning.AUTH,
    "Cloudflare (Just a moment…, Attention required), web application firewalls: a 403 that is a web page",
    ours=FIREWALL,
    concerns=Concerns.REQUEST,
)
NOTHING_THERE = row(Meaning.WRONG_PATH, "a web page, or nothing at all, in place of an API's error")
BROKEN = row(Meaning.FAILED, "RFC 9110, section 15.6")
NOT_FOUND = row(Meaning.REFUSED, "RFC 9110, section 15.5.5", concerns=Concerns.REQUEST)
OTHERWISE = row(Meaning.REFUSED, "RFC 9110, section 15.5")

_REFUSALS = frozenset({400, 404, 413, 422})
"""Statuses whose sentences may repeat a request: words are not taken out of them."""
_GATEWAY = frozenset({400, 500, 502, 503})
_PASSED_ON = frozenset({"401", "402", "403", "412", "413", "429", "498", "529"})

_QUOTED = re.compile(r"(?<!\w)(['\"`])[^'\"`\n]*\1(?!\w)")


def classify(status: int, body: ErrorBody, *, asks_wait: bool, retry_after: bool = False) -> Row:
    """The row that decides. `status` is `NO_STATUS` where the error names none; a gateway's 400 or 500 gives way to the
    status that it passes on in the body. `asks_wait`: whether the body names a wait; `retry_after`: whether the header
    of that name does."""
    if status == 403 and body.is_page:
        return BLOCKED
    passed_on = _PASSED_ON & (body.words if status in _REFUSALS else body.words | body.wrapped)
    if status in _GATEWAY and len(passed_on) == 1:
        status = int(next(iter(passed_on)))
    found = body.words if status in _REFUSALS else body.words | body.wrapped
    words = in_parts(found) | ({plain(RETRY_AFTER)} if retry_after else frozenset())
    text = _QUOTED.sub("''", body.message[:LONGEST_SENTENCE])
    for each in TABLE:
        if each.fits(status, words, text, asks_wait=asks_wait):
            return each
    if status in (404, 405) and (body.is_page or not body.message):
        return NOTHING_THERE
    if status == 404:
        return NOT_FOUND
    return BROKEN if status >= 500 else OTHERWISE
