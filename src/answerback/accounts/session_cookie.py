"""A browser's cookie that holds a key: no script can read it, and only the service's own pages may use it.

SameSite=Strict alone would not do: for browsers, all ports and subdomains of a host are one site.
"""

from urllib.parse import quote, unquote

from starlette.requests import Request

from answerback.http.headers import is_of_host
from answerback.kernel.errors import Unauthorized

NAME = "answerback_key"
SAFE_METHODS = frozenset({"GET", "HEAD"})


def key_of_cookie(request: Request) -> str | None:
    """The key in the request's cookie, None without one. Raises Unauthorized where a page of another origin sends
    it."""
    given = request.cookies.get(NAME)
    if not given:
        return None
    if not is_of_this_origin(request):
        raise Unauthorized(
            "a page of another origin may not use the key that a browser signed in with; send it as "
            "'Authorization: Bearer <key>'"
        )
    return unquote(given)


def is_of_this_origin(request: Request) -> bool:
    """Whether a page of this service made the browser send the request, or its user did by opening an address."""
    safe = request.method in SAFE_METHODS
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin" or (site == "none" and safe)
    # Browsers send no Sec-Fetch-Site over http beyond loopback. There they send Origin with whatever is not safe.
    origin = request.headers.get("origin")
    return safe if origin is None else is_of_host(origin, request.headers.get("host"))


def reads_for_a_page(request: Request) -> bool:
    """Whether a page of this service reads something, for a browser that signed in or needs no key."""
    if request.scope["method"] not in SAFE_METHODS or "authorization" in request.headers:
        return False
    return request.headers.get("sec-fetch-site") == "same-origin" or NAME in request.cookies


def cookie_with(key: str, request: Request) -> str:
    """The `Set-Cookie` that signs the browser in until it is closed."""
    return f"{NAME}={quote(key, safe='')}; {_attributes(request)}"


def no_cookie(request: Request) -> str:
    """The `Set-Cookie` that signs the browser out."""
    return f"{NAME}=; Max-Age=0; {_attributes(request)}"


def _attributes(request: Request) -> str:
    secure = "; Secure" if request.url.scheme == "https" else ""
    return f"HttpOnly; Path=/; SameSite=Strict{secure}"
