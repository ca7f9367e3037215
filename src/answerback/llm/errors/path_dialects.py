"""How upstreams say that nothing is at an address: rows of the table in `dialects.py`. The sender of the request can do
nothing about it; the base URL is the operator's."""

from answerback.llm.errors.error_bodies import HTTPS_WANTED
from answerback.llm.errors.meaning import NO_STATUS, Meaning, Row, row

SPEAKS_TLS = "the upstream speaks TLS at this port; its base URL should begin with https://"

_NOUN = r"(?:route|endpoint|path|ur[li]|page|interface|handler|static resource)"
_OF_WHAT = r"(?:(?:such|matching|valid|known|api|http|request(?:ed)?|specified|available) ){0,3}"
_MISSING = r"(?:not found|not be found|does(?: not|n.t) exist|not exist|is (?:not supported|unknown|invalid|undefined))"
_WHOLE = (
    r"(?:(?:http|error)[: ]){0,2}404\W{0,3}(?:(?:page )?not[ _]found)?"
    r"|(?:(?:page|path|file|resource|endpoint|url|route) )?not[ _]found"
)

_NO_ROUTE = (
    r"(?:^|; )(?![^;]{0,200}\b(?:model|deployment)\b)(?:"
    rf"(?:there is |there.s )?(?:no|unknown|invalid|undefined|unsupported|unrecogni[sz]ed) {_OF_WHAT}{_NOUN}\b"
    rf"|(?:the |this )?{_OF_WHAT}(?:{_NOUN}|resource)\b (?:[^;]{{0,80}} )?{_MISSING}"
    r"|(?:(?:get|post)[: ] ?)?/\S{0,200} (?:is |was )?not found\b|not found: (?:(?:get|post) )?/)"
    rf"|^(?:(?:{_WHOLE})[.!]{{0,3}}(?:; |$))+$"
    r"|(?:接口|路由|路径|地址|页面)(?:不存在|未找到)"
)

_NOWHERE = (
    r"^(?:404(?: page)?(?: not[ _]found)?|(?:page|path|file|resource|endpoint|url)? ?not[ _]found\.?"
    r"|.{0,20}\bpath\b.{0,80}not found)$"
    r"|^invalid url\b|no route matched|no route for that uri|could not route to"
    r"|^cannot (?:post|get) |method not allowed|unexpected endpoint"
    r"|^(?:unsupported )?api version(?: .{0,40})?(?: is)?(?: not supported|$)|unknown request url"
    r"|requested url .{0,80}not found|^modal-http: |\bERR_NGROK_|^deployment_not_found"
    r"|^(?:the )?(?:requested )?(?:route|path|resource) .{0,80}(?:not found|not be found|is invalid)"
)

LIST_OF_MODELS = row(
    Meaning.WRONG_PATH,
    "Fastify (Route GET:/v1/models not found), gateways: the path of the list, which names no model",
    statuses=(404,),
    says=r"(?:^|; )(?:\w+ ){0,3}\S{0,120}/models/? (?:is |was |could |does )?not (?:be )?(?:found|exist)\b",
)

NOWHERE: tuple[Row, ...] = (
    row(
        Meaning.WRONG_PATH,
        "nginx (400, 497), Apache, Go: plain HTTP at a port of TLS",
        statuses=(400, 497),
        words=HTTPS_WANTED,
        ours=SPEAKS_TLS,
    ),
    row(
        Meaning.WRONG_PATH,
        "OpenAI (Invalid URL), Azure (Resource not found), FastAPI, Go, Express, Kong, LM Studio, Cloudflare, Zhipu",
        statuses=(NO_STATUS, 400, 404, 405, 421, 500),
        says=_NOWHERE,
    ),
    row(Meaning.WRONG_PATH, "RFC 9110, sections 15.4 (redirects) and 15.5.20", statuses=(*range(300, 400), 421)),
)

NO_ROUTE: tuple[Row, ...] = (
    row(
        Meaning.WRONG_PATH,
        "Groq (unknown_url), gateways: codes",
        statuses=(404,),
        words="unknown_url unknown_route route_not_found url_not_found path_not_found page_not_found no_such_route",
    ),
    row(
        Meaning.WRONG_PATH,
        "Spring (No static resource), Hono (404 Not Found), gateways (no such route): sentences",
        statuses=(404,),
        says=_NO_ROUTE,
    ),
)
"""Read after all that names a model."""
