"""What upstreams' errors say of the account, in every vendor's dialect: rows of the table in `dialects.py`.

An account that may not or cannot pay rests a whole provider for everybody, so what concerns one model, or one request,
comes first. Of a 400's sentence only the beginning counts here: a request's own text, repeated in an error, must not
look like one.
"""

from answerback.kernel.provider_error import Concerns
from answerback.llm.errors.meaning import NO_STATUS, RETRY_AFTER, Meaning, Row, row
from answerback.llm.errors.plain_dialects import CREDIT_CODES
from answerback.llm.errors.sentences import BANNED, MODEL_DENIED, NO_MONEY, NOBODY_ALLOWED, NOT_HERE, QUOTA

NO_ACCESS = "the provider's account has no access to this model"
NO_PROVIDER_ALLOWED = "the settings of the provider's account allow none of those who serve this model"
REGION = "the upstream does not serve the country or region that the relay calls from"
FIREWALL = "a firewall before the upstream refused the call: a bot check, a blocked address, or a text like an attack"

_STATUSES = (401, 402, 403, 412, 429)
_BEGINS = r"^(?:[\w.]*(?:Error|Exception)\s*[:-]\s*)*"
"""Where a sentence begins, after the names of exceptions that gateways put before it."""

ACCOUNT: tuple[Row, ...] = (
    # The account may not use, or cannot pay for, this model: others answer.
    row(
        Meaning.MODEL,
        "OpenAI (403 model_not_found is a project without access), Anthropic",
        statuses=(401, 403),
        words="model_not_found not_found_error",
        ours=NO_ACCESS,
    ),
    row(Meaning.MODEL, "Volcengine: 404 ModelNotOpen", statuses=(404,), words="modelnotopen", ours=NO_ACCESS),
    row(
        Meaning.AUTH,
        "GitHub Models (403 no_access), Groq, GitHub Copilot",
        statuses=(401, 403),
        words="model_not_allowed no_access model_not_supported model_not_available model_disabled",
        ours=NO_ACCESS,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.AUTH,
        "OpenAI, LiteLLM, Groq, DashScope and Volcengine, in various statuses, or in a stream",
        words="modelnotopen model_access_denied key_model_access_denied team_model_access_denied "
        "model_permission_blocked_org model_permission_blocked_project model.accessdenied model_terms_required",
        ours=NO_ACCESS,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.AUTH,
        "SiliconFlow (403), error codes: 30003; Zhipu and Z.ai, error codes: 1220 (403), 1311 (429)",
        statuses=(NO_STATUS, 403, 429),
        words="30003 1220 1311",
        ours=NO_ACCESS,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.AUTH,
        "MiniMax, error codes: 2061, a plan without the model",
        statuses=(NO_STATUS,),
        words="2061",
        ours=NO_ACCESS,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.CREDIT,
        "Bedrock: a model of AWS Marketplace, and an account without a card",
        statuses=(400, 403),
        says=r"invalid_payment_instrument|valid payment instrument",
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.AUTH,
        "OpenAI (a project, an organization that is not verified), Groq, Bedrock, Hugging Face, New API: sentences",
        statuses=(401, 403),
        says=MODEL_DENIED,
        ours=NO_ACCESS,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.AUTH,
        "OpenRouter: 404 for a data policy, or a list of allowed providers, in the account's settings",
        statuses=(NO_STATUS, 400, 404),
        says=_BEGINS + NOBODY_ALLOWED,
        ours=NO_PROVIDER_ALLOWED,
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.CREDIT,
        "DashScope (403 AllocationQuota.FreeTierOnly), Volcengine (SetLimitExceeded): a quota of one model",
        words="allocationquota.freetieronly setlimitexceeded",
        concerns=Concerns.MODEL,
    ),
    row(
        Meaning.CREDIT,
        "Gemini, rate limits: a model's quota of 0, which has no free tier",
        statuses=(429,),
        says=r"\blimit: 0(?![.\d])",
        concerns=Concerns.MODEL,
    ),
    # This request alone costs too much.
    row(
        Meaning.CREDIT,
        "OpenRouter, errors: 402 weight_exceeds_budget",
        statuses=(402,),
        words="weight_exceeds_budget",
        ours="the request costs more than the account's whole budget",
        concerns=Concerns.REQUEST,
    ),
    row(
        Meaning.CREDIT,
        "OpenRouter, errors: 402 for a request whose max_tokens cost more than is left",
        statuses=(402,),
        says=r"fewer max_tokens|can only afford",
        ours="the request may cost more than the upstream account has left",
        concerns=Concerns.REQUEST,
    ),
    # The account cannot pay.
    row(
        Meaning.CREDIT,
        "OpenAI (insufficient_quota, billing_hard_limit_reached), Anthropic (billing_error), Moonshot "
        "(exceeded_current_quota_error), LiteLLM (budget_exceeded), DashScope (Arrearage), Volcengine "
        "(AccountOverdueError), Vertex (BILLING_DISABLED), Vercel (no card), Tencent, OpenRouter (limit_source), xAI",
        words="insufficient_quota billing_hard_limit_reached billing_not_active billing_error credit_balance_too_low "
        "exceeded_current_quota_error budget_exceeded exceeded_budget budgetexceedederror insufficient_balance "
        "insufficient_credits insufficient_user_quota payment_required arrearage not_enough_balance "
        "accessdenied.unpurchased prepaidbilloverdue postpaidbilloverdue commoditynotpurchased accountoverdueerror "
        "billing_disabled resourceinsufficient.chargeresourceexhaust "
        "failedoperation.resourcepackexhausted failedoperation.freeresourcepackexhausted "
        "failedoperation.servicestopunpaid token_quota_reached pre_consume_token_quota_failed limit_source "
        "servicequotaexceededexception customer_verification_required "
        "personal-team-blocked:spending-limit spend_limit_exceeded blocked_api_access",
    ),
    row(
        Meaning.CREDIT,
        "Tencent Hunyuan (ServiceStopArrears), Volcengine (InvalidSubscription), Kimi's plans, in various statuses",
        words="failedoperation.servicestoparrears failedoperation.servicestop invalidsubscription",
    ),
    row(
        Meaning.CREDIT,
        "Kimi For Coding (403): the plan's limit for this billing cycle",
        statuses=(NO_STATUS, 403),
        says=r"usage limit for this billing cycle",
    ),
    row(
        Meaning.CREDIT,
        "Anthropic (429): a request longer than the plan pays for",
        statuses=(NO_STATUS, 429),
        says=r"^extra usage is required",
        ours="the upstream account's plan does not pay for requests of this length",
        concerns=Concerns.REQUEST,
    ),
    row(
        Meaning.CREDIT,
        "Zhipu, error codes: 1113 arrears, 1309 plan expired; also in a 200",
        statuses=(NO_STATUS, 429),
        words="1113 1309",
    ),
    row(
        Meaning.CREDIT,
        "SiliconFlow, error codes: 30001; MiniMax, error codes: 1008",
        statuses=(NO_STATUS, 402, 403),
        words="30001 1008",
    ),
    row(
        Meaning.CREDIT,
        "Gemini, rate limits: depleted prepayment, the spending cap",
        statuses=(429,),
        says=r"prepay\w{0,6} credits|spending cap",
    ),
    row(
        Meaning.LIMITED,
        "Gemini, rate limits: RESOURCE_EXHAUSTED of a minute or a day, in OpenAI's words for an empty account",
        statuses=(429,),
        words="resource_exhausted",
        says=QUOTA,
    ),
    row(
        Meaning.LIMITED,
        "RFC 9110, section 10.2.3: a quota that a Retry-After refills",
        statuses=(429,),
        words=RETRY_AFTER,
        says=QUOTA,
    ),
    row(
        Meaning.CREDIT,
        "OpenAI, Perplexity (401): exceeded your current quota. Gemini says so of limits a minute, with a wait",
        statuses=(NO_STATUS, *_STATUSES),
        says=QUOTA,
        asks_wait=False,
    ),
    row(
        Meaning.CREDIT,
        "xAI (403, 429), Fireworks (412), Hugging Face (402), Cohere (429, trial key), OpenRouter, LiteLLM, Together",
        statuses=_STATUSES,
        says=NO_MONEY + r"|account\b[^.]{0,80}suspended|suspended[^.]{0,60}invoices?",
        asks_wait=False,
    ),
    row(
        Meaning.CREDIT,
        "Volcengine (QuotaExceeded), GitHub Copilot (quota_exceeded): a free quota is used up",
        statuses=(NO_STATUS, 403, 429),
        words="quotaexceeded quota_exceeded",
        asks_wait=False,
    ),
    row(
        Meaning.CREDIT,
        "Anthropic (400, credit balance), LiteLLM (400, budget), Bedrock (payment instrument)",
        statuses=(NO_STATUS, 400, 500),
        says=_BEGINS
        + r"(?:your (?:credit|account)\b[^.]{0,20} (?:balance )?is (?:too low|insufficient)|budget has been exceeded"
        r"|exceededbudget|(?:litellm \w+: [^;]{0,60})?exceeded budget"
        r"|(?:you have )?(?:insufficient|not enough) (?:account )?(?:balance|credits?|funds)"
        r"|access denied, please make sure|please enable billing\b"
        r"|(?:you have|this workspace has) reached (?:your|its) specified api usage limits"
        r"|organization has exceeded its spend limit)",
    ),
    row(Meaning.CREDIT, "Portkey (412, a key's usage limit)", statuses=(412,), says="usage limit exceeded"),
    *CREDIT_CODES,
    # It may not from here.
    row(
        Meaning.AUTH,
        "OpenAI, errors: 403 unsupported_country_region_territory",
        words="unsupported_country_region_territory unsupported_country unsupported_region",
        ours=REGION,
    ),
    row(Meaning.AUTH, "Regions that are not served: sentences", statuses=(403, 451), says=NOT_HERE, ours=REGION),
    row(
        Meaning.AUTH,
        "Gemini (400, location)",
        statuses=(NO_STATUS, 400),
        says=_BEGINS + r"(?:user location is not supported|country, region, or territory not supported"
        r"|gemini api free tier is not available in your country)",
        ours=REGION,
    ),
    row(
        Meaning.AUTH,
        "Cloudflare, 1xxx errors, in plain text",
        statuses=(403,),
        says=r"^error code: 1[0-9]{3}$",
        ours=FIREWALL,
        concerns=Concerns.REQUEST,
    ),
    # It may not at all.
    row(
        Meaning.AUTH,
        "OpenAI, Anthropic, Google, Azure, Bedrock, Mistral, Moonshot, DashScope, LiteLLM: names of bad keys",
        words="invalid_api_key incorrect_api_key incorrect_api_key_error authentication_error authenticationerror "
        "permissiondeniederror "
        "invalid_authentication invalid_authentication_error api_key_invalid unauthenticated unauthorized auth_error "
        "permission_denied permission_error permission_denied_error invalidapikey accessdenied accessdeniedexception "
        "unrecognizedclientexception expiredtokenexception invalidsignatureexception "
        "service_disabled consumer_suspended account_suspended api_key_expired organization_restricted "
        "account_deactivated access_terminated access_terminated_error notauthorizedornotfound "
        "failedoperation.servicenotactivated failedoperation.userunautherror authfailure",
    ),
    row(
        Meaning.AUTH,
        "xAI (400, incorrect API key), Cloudflare (400), Anthropic (400, organization), Baidu (110), Bedrock",
        statuses=(NO_STATUS, 400),
        says=_BEGINS + r"(?:(?:incorrect|invalid) api[ -]?key|api[ -]?key (?:not valid|not found|expired|is invalid)"
        r"|authentication (?:failed|error)|operation not allowed$|access token (?:is )?(?:invalid|expired)"
        r"|access to bedrock models is not allowed for this account|missing or invalid authorization header"
        r"|(?:this |your )?(?:organization|workspace|account) (?:has been|is) (?:disabled|restricted|suspended))",
    ),
    row(
        Meaning.AUTH,
        "Gateways and Baidu (6): what belongs to a 401 or a 403, in a stream or a 200",
        statuses=(NO_STATUS,),
        says=r"^(?:unauthori[sz]ed|unauthenticated|forbidden|access denied|(?:no )?permission (?:denied|to access data)"
        r"|not authenticated|(?:invalid|expired|missing) (?:access |api )?(?:token|credentials?|authorization))"
        r" ?(?:[.:;,!(-]|due to\b|$)",
    ),
    row(
        Meaning.AUTH,
        "MiniMax, error codes: 1004, 2049; Spark, error codes: 10015, 10016, 11200",
        statuses=(NO_STATUS,),
        words="1004 2049 10015 10016 11200",
    ),
    row(
        Meaning.AUTH,
        "Zhipu, error codes: accounts that do not exist or are locked",
        statuses=(NO_STATUS, 429),
        words="1110 1111 1112",
    ),
    row(
        Meaning.AUTH,
        "OpenAI (429, terminated access), and others that close accounts: sentences",
        statuses=(403, 412, 429),
        says=BANNED,
        ours="the upstream has closed, locked or banned the provider's account",
    ),
)
