"""The host of a callback URL, if every parser reads the same one; else a refusal."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from answerback.kernel.errors import CallbackRefused

MAX_URL_LENGTH = 2048

_SPLIT = re.compile(r"(https?)://([^/?#]*)", re.IGNORECASE)
# Parsers disagree about these, and databases and header lines cannot take some of them.
_TREACHEROUS = re.compile(r"[\s\\\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+(?:%[0-9a-z._~%-]+)?\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")

_PORTS = {"http": 80, "https": 443}

METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.azure.com",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
        "instance-data",
        "instance-data.ec2.internal",
        "api.metadata.cloud.ibm.com",
    }
)
"""Names under which clouds hand out credentials to any process inside. Names below a dotted one count, too."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: `host` in lower case, without brackets, and `port`, if that is known. `literal` when the host
    is an IP address."""

    host: str
    literal: bool
    port: int | None = None


def authority(url: str) -> tuple[str, str]:
    """Scheme and authority of a URL without treacherous characters. Raises CallbackRefused."""
    if len(url) > MAX_URL_LENGTH:
        raise CallbackRefused(f"callback_url must be at most {MAX_URL_LENGTH} characters long")
    if _TREACHEROUS.search(url):
        raise CallbackRefused("callback_url must not contain spaces, control characters or backslashes")
    match = _SPLIT.match(url)
    if match is None:
        raise CallbackRefused("callback_url must start with http:// or https://")
    return match[1].lower(), match[2]


@lru_cache(maxsize=1024)
def target(scheme: str, authority: str) -> Target:
    """The host of an authority, and its port. Raises CallbackRefused for what is not plainly one host and at most one
    port."""
    if "@" in authority:
        raise CallbackRefused("callback_url must not contain credentials (user:password@)")
    if not authority.isascii():
        raise CallbackRefused("callback_url's host must be written in ASCII (xn--… for international names)")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise CallbackRefused("callback_url must name a host, and a port in digits if any")
    if match[2] is not None and not 1 <= int(match[2]) <= 65535:
        raise CallbackRefused("callback_url's port must be between 1 and 65535")
    host = match[1].lower()
    where = _bracketed(host[1:-1]) if host.startswith("[") else _named(host)
    return replace(where, port=int(match[2]) if match[2] else _PORTS[scheme])


def is_localhost(host: str) -> bool:
    """Whether a name is loopback by definition (RFC 6761, section 6.3)."""
    host = host.rstrip(".")
    return host == "localhost" or host.endswith(".localhost")


def is_metadata(host: str) -> bool:
    """Whether a name belongs to a cloud's metadata service."""
    name = host.rstrip(".").lower()
    return name in METADATA_NAMES or any(name.endswith("." + known) for known in METADATA_NAMES if "." in known)


def _bracketed(host: str) -> Target:
    try:
        IPv6Address(host.partition("%")[0])
    except ValueError:
        raise CallbackRefused("callback_url's host is not an IPv6 address") from None
    return Target(host, literal=True)


def _named(host: str) -> Target:
    # A host that ends in a number is an IPv4 address to every resolver, in one notation or another.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return Target(str(IPv4Address(host)), literal=True)
        except ValueError:
            raise CallbackRefused("callback_url's host must be four decimal numbers when it is an address") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise CallbackRefused("callback_url's host is not a valid host name")
    return Target(host, literal=False)
