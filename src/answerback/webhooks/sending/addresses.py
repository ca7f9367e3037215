"""Which IP addresses the relay may call: pure arithmetic over our own lists.

`ipaddress.is_global` does not decide: on Python 3.11 it is True for `64:ff9b::a9fe:a9fe`, `2002:a9fe:a9fe::1`,
`fec0::1` and `224.0.0.1`, and its tables differ from version to version. The lists follow the IANA special-purpose
address registries (RFC 6890) and add what clouds keep for themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_JUDGED = 4096
"""How many addresses a policy remembers its judgement of."""
_LOW_32 = 0xFFFFFFFF
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

_FORBIDDEN_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an unspecified"),
        ("10.0.0.0/8", "a private"),
        ("100.64.0.0/10", "a carrier-grade NAT"),
        ("127.0.0.0/8", "a loopback"),
        ("168.63.129.16/32", "a cloud platform's"),
        ("169.254.0.0/16", "a link-local"),
        ("172.16.0.0/12", "a private"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a relay's anycast"),
        ("192.168.0.0/16", "a private"),
        ("198.18.0.0/15", "a benchmarking"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
    )
)

# Everything outside 2000::/3 is forbidden too; these are named for the message, or lie inside it.
_FORBIDDEN_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an unspecified"),
        ("::1/128", "a loopback"),
        ("64:ff9b:1::/48", "a local translation"),
        ("2001::/23", "a protocol-assignment"),
        ("2001:db8::/32", "a documentation"),
        ("3ffe::/16", "a reserved"),
        ("3fff::/20", "a documentation"),
        ("fc00::/7", "a private"),
        ("fe80::/10", "a link-local"),
        ("fec0::/10", "a site-local"),
        ("ff00::/8", "a multicast"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")

# Another way to write an IPv4 address: judged as that address and nothing else. The number is the shift to its bits.
_WRITTEN_V4 = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped, RFC 4291
        ("::ffff:0:0:0/96", 0),  # translated, RFC 2765
        ("::/96", 0),  # compatible, RFC 4291
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("2002::/16", 80),  # 6to4, RFC 3056
    )
)
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_TEREDO = IPv6Network("2001::/32")


class ForbiddenAddressError(Exception):
    """The relay may not connect there."""


class OwnAddressError(ForbiddenAddressError):
    """This service itself listens there."""


class _Judged(NamedTuple):
    """The kind of a forbidden address, None for one that may be called; whether the service itself may listen there."""

    kind: str | None
    is_own: bool


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be called: all of the public internet and the `allowed` networks, but not this service itself, which
    listens on `own_port` of `own_host` and perhaps of loopback: without keys it would take a callback over that for its
    operator's request."""

    allowed: Sequence[Network]
    own_port: int | None
    own_host: str = ""
    _allowed: tuple[Network, ...] = field(init=False, repr=False)
    _judged: Callable[[str], _Judged] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_allowed", tuple(_plain(network) for network in self.allowed))
        # Of an address, not of a name: that may point elsewhere a moment later.
        object.__setattr__(self, "_judged", lru_cache(maxsize=MAX_JUDGED)(self._judge))

    def verify(self, address: str, port: int | None = None) -> None:
        """Raises ForbiddenAddressError, which names the kind of address. A zone (`fe80::1%eth0`) is ignored."""
        try:
            kind, is_own = self._judged(address.partition("%")[0])
        except ValueError:
            raise ForbiddenAddressError("it is not an IP address") from None
        if kind is not None:
            raise ForbiddenAddressError(f"it is {kind} address")
        if port is not None and port == self.own_port and is_own:
            raise OwnAddressError("it is this service itself")

    def _judge(self, address: str) -> _Judged:
        parsed = ip_address(address)
        plain = (_written_v4(parsed) if isinstance(parsed, IPv6Address) else None) or parsed
        # Where nothing is specified, systems connect to loopback.
        is_here = plain.is_loopback or plain.is_unspecified
        return _Judged(self._forbidden(parsed), is_here or str(plain) == self.own_host)

    def _forbidden(self, address: Address) -> str | None:
        """The kind of a forbidden address with its article, None for one that may be called."""
        if isinstance(address, IPv6Address):
            written = _written_v4(address)
            if written is not None:
                return self._forbidden(written)
            for carried in _carried_v4(address):
                kind = self._forbidden(carried)
                if kind is not None:
                    return kind
        if any(address.version == network.version and address in network for network in self._allowed):
            return None
        return _kind(address)


def _plain(network: Network) -> Network:
    """An IPv4-mapped network as the IPv4 network it is."""
    if isinstance(network, IPv6Network) and network.subnet_of(_WRITTEN_V4[0][0]):
        return IPv4Network((int(network.network_address) & _LOW_32, network.prefixlen - 96))
    return network


def _kind(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _FORBIDDEN_V4 if address in network), None)
    outside = None if address in _GLOBAL_V6 else "a reserved"
    return next((kind for network, kind in _FORBIDDEN_V6 if address in network), outside)


def _written_v4(address: IPv6Address) -> IPv4Address | None:
    value = int(address)
    if value <= 1:  # `::` and `::1` are IPv6's own, not compatible forms of 0.0.0.0 and 0.0.0.1
        return None
    for network, shift in _WRITTEN_V4:
        if address in network:
            return IPv4Address(value >> shift & _LOW_32)
    return None


def _carried_v4(address: IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses a tunnel or translator would send to; the IPv6 address around them is judged as well."""
    value = int(address)
    if address in _NAT64_LOCAL:
        return [IPv4Address(value & _LOW_32)]
    if address in _TEREDO:  # the server, and the client with its bits flipped (RFC 4380)
        return [IPv4Address(value >> 64 & _LOW_32), IPv4Address(value & _LOW_32 ^ _LOW_32)]
    if value >> 32 & _LOW_32 in _ISATAP:
        return [IPv4Address(value & _LOW_32)]
    return []
