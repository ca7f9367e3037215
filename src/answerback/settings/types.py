"""Types of settings, whose errors say in one line what is wrong and what would be right."""

import re
from collections.abc import Callable, Set
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from answerback.kernel.rate import parse_rate
from answerback.kernel.retry import DAY
from answerback.kernel.signature import webhook_key

Network = IPv4Network | IPv6Network


def _host(value: str) -> str:
    host = value.strip()
    if re.fullmatch(r"([^:]+|\[.*\]):[0-9]+", host):
        raise ValueError(f"is {value!r} but must be an address alone: the port belongs in APP_PORT")
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", host):
        raise ValueError(f"is {value!r} but must be an address or a host name, such as 127.0.0.1")
    return host


def _database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().strip()
    match = re.fullmatch(r"sqlite(?:\+aiosqlite)?://(.*)", url, re.DOTALL)
    if match is not None:
        _sqlite_path(match[1])
        return SecretStr(url)
    if not _is_server_url(url, {"postgresql", "postgresql+asyncpg", "postgres"}):
        scheme = re.match(r"[a-z][a-z0-9+]*(?=:)", url)
        found = f"starts with {scheme[0]!r}" if scheme is not None else "is not a database URL"
        raise ValueError(f"{found} but must be sqlite:///path/to/file.db or postgresql://user@host:5432/name")
    return SecretStr(url)


def _sqlite_path(path: str) -> None:
    if path.removeprefix("/") in ("", ":memory:") or path.startswith("/file:"):
        raise ValueError("names a database in memory, which forgets jobs, but must be sqlite:///path/to/file.db")
    if not path.startswith("/") or path.endswith("/") or re.search(r"[?#\x00-\x1f]", path):
        raise ValueError("must be sqlite:///path/to/file.db, with three slashes, a file's name and no options")


def _is_server_url(url: str, schemes: Set[str]) -> bool:
    try:
        parts = urlsplit(url)
        numbered = not parts.scheme.startswith("redis") or re.fullmatch(r"/?\d*", parts.path) is not None
        return parts.scheme in schemes and bool(parts.hostname or parts.query) and parts.port != 0 and numbered
    except ValueError:
        return False


def _server_url(schemes: Set[str], wanted: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        url = value.get_secret_value().strip()
        if not _is_server_url(url, schemes):
            raise ValueError(wanted)
        return SecretStr(url)

    return AfterValidator(check)


def _base_url(example: str) -> AfterValidator:
    wanted = f"must be an http or https URL without credentials, query or fragment, such as {example}"

    def check(value: str) -> str:
        url = value.strip()
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(wanted) from None
        if not good or "@" in parts.netloc or "?" in url or "#" in url or re.search(r"[\s\x00-\x1f]", url):
            raise ValueError(wanted)
        return url.rstrip("/")

    return AfterValidator(check)


def _header_safe(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]+", secret):
        raise ValueError("holds a space or a character that cannot travel in a header, but must be visible ASCII")
    return SecretStr(secret)


def _signing_secret(value: SecretStr) -> SecretStr:
    try:
        key = webhook_key(value.get_secret_value())
    except ValueError:
        key = b""
    if not key:
        raise ValueError("starts with whsec_ but what follows is not base64: it must be whsec_ + base64, or plain text")
    return value


def _network(word: object) -> object:
    try:
        return ip_network(word) if isinstance(word, str) else word
    except ValueError:
        wanted = "networks such as 10.0.0.0/8 or fd00::/8 (no bits after the prefix), separated by commas or spaces"
        raise ValueError(f"holds {str(word)[:60]!r} but must be {wanted}") from None


def _origin(word: str) -> str:
    origin = word.lower().rstrip("/")
    if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", origin):
        wanted = "origins such as https://shop.example or http://localhost:3000, separated by commas or spaces, or *"
        raise ValueError(f"holds {word[:60]!r} but must be {wanted}")
    return origin


def _words(value: object) -> object:
    return tuple(word for word in re.split(r"[\s,]+", value) if word) if isinstance(value, str) else value


def _rate(value: str) -> str:
    parse_rate(value)
    return value.strip()


def _cased(convert: Callable[[str], str]) -> BeforeValidator:
    return BeforeValidator(lambda value: convert(value.strip()) if isinstance(value, str) else value)


Host = Annotated[str, AfterValidator(_host)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
RedisUrl = Annotated[
    SecretStr,
    _server_url({"redis", "rediss", "unix"}, "must be the address of a Redis server, such as redis://localhost:6379/0"),
]
BrokerUrl = Annotated[
    SecretStr,
    _server_url(
        {"redis", "rediss", "amqp", "amqps"},
        "must name a broker: redis://localhost:6379/1 or amqp://user:password@localhost:5672//",
    ),
]
ProviderUrl = Annotated[str, _base_url("https://openrouter.ai/api/v1")]
ReviewUrl = Annotated[str, _base_url("https://reviews.example.com")]
ServiceUrl = Annotated[str, _base_url("https://answerback.example.com")]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_safe)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
Networks = Annotated[tuple[Annotated[Network, BeforeValidator(_network)], ...], BeforeValidator(_words)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_words)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
RateText = Annotated[str, AfterValidator(_rate)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], _cased(str.upper)]
Format = Annotated[Literal["text", "json"], _cased(str.lower)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=30 * DAY, allow_inf_nan=False)]
