"""Which addresses an audit may reach: those of the public internet, and nothing else.

Names come from strangers, and a name may point anywhere: at the metadata service, at a
neighbour in the VPC, at ourselves.  So the rule is asked for every address before a socket
is opened, and it is our own table of IANA's special-purpose registries: the answers of
`ipaddress.is_global` differ between the Python versions that we run on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from glovebox.errors import ConfigurationError, RefusedError

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_SPECIAL_IPV4 = {
    "0.0.0.0/8": "this network (RFC 791)",
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "shared by a carrier's NAT (RFC 6598)",
    "127.0.0.0/8": "loopback (RFC 1122)",
    "168.63.129.16/32": "the platform service of Azure",
    "169.254.0.0/16": "link-local, metadata services among them (RFC 3927)",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.0.0.0/24": "IETF protocol assignments (RFC 6890)",
    "192.0.2.0/24": "documentation (RFC 5737)",
    "192.31.196.0/24": "AS112 (RFC 7535)",
    "192.52.193.0/24": "AMT (RFC 7450)",
    "192.88.99.0/24": "6to4 relays (RFC 7526)",
    "192.168.0.0/16": "private (RFC 1918)",
    "192.175.48.0/24": "AS112 (RFC 7534)",
    "198.18.0.0/15": "benchmarking (RFC 2544)",
    "198.51.100.0/24": "documentation (RFC 5737)",
    "203.0.113.0/24": "documentation (RFC 5737)",
    "224.0.0.0/4": "multicast (RFC 5771)",
    "240.0.0.0/4": "reserved, broadcast among them (RFC 1112)",
}
_SPECIAL_IPV6 = {
    "2001::/23": "IETF protocol assignments, Teredo among them (RFC 2928, RFC 4380)",
    "2001:db8::/32": "documentation (RFC 3849)",
    "2002::/16": "6to4, withdrawn, which carries any IPv4 address (RFC 7526)",
    "2620:4f:8000::/48": "AS112 (RFC 7534)",
    "3fff::/20": "documentation (RFC 9637)",
}
_GLOBAL_IPV6 = ip_network("2000::/3")
"""IANA has given out nothing else as global unicast: loopback, link-local, private, IPv4-mapped and multicast
addresses lie outside."""
_SPECIAL = tuple(
    (ip_network(network), purpose) for network, purpose in (_SPECIAL_IPV4 | _SPECIAL_IPV6).items()
)

_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: how a network without IPv4 reaches it.  Such an address is judged by the one that it carries."""
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""RFC 5214: the upper half of an interface identifier whose lower half is an IPv4 address."""


def public_address(address: str, allowed_networks: Sequence[str] = ()) -> IpAddress:
    """`address`, where an audit may connect to it.

    `allowed_networks` are let through whatever they are; they come from `AuditSettings`, for a
    fleet of one's own.  Raises RefusedError for every address that is not one of the public
    internet, and for IPv6 addresses that carry such an IPv4 address (RFC 6052, RFC
    5214); ConfigurationError for an allowed network that is none.
    """
    try:
        parsed = ip_address(address)
    except ValueError as error:
        raise RefusedError(
            f"{address[:64]!r} is not an IP address.", fix="Give a numeric address."
        ) from error
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        raise RefusedError(f"{address[:64]} names an interface of this machine.", fix="Drop the zone.")
    if any(parsed in network for network in _networks(tuple(allowed_networks))):
        return parsed
    for candidate in (parsed, *_embedded(parsed)):
        purpose = _special_purpose(candidate)
        if purpose is not None:
            carried = "" if candidate is parsed else f" carries {candidate}, which"
            raise RefusedError(
                f"{parsed}{carried} is no address of the public internet: {purpose}.",
                fix="Publish a public address, or take the name off the list.",
            )
    return parsed


def _special_purpose(address: IpAddress) -> str | None:
    for network, purpose in _SPECIAL:
        if address in network:
            return purpose
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6 and address not in _NAT64:
        return "outside IPv6's global unicast space, as IPv4-mapped ones are (RFC 4291)"
    return None


def _embedded(address: IpAddress) -> Iterable[IPv4Address]:
    """The IPv4 address that a translator or a tunnel would take `address` for, if any."""
    number = int(address)
    if isinstance(address, IPv6Address) and (address in _NAT64 or number >> 32 & 0xFFFFFFFF in _ISATAP):
        yield IPv4Address(number & 0xFFFFFFFF)


@lru_cache(maxsize=16)
def _networks(texts: tuple[str, ...]) -> tuple[IpNetwork, ...]:
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigurationError(
            f"An allowed network is none: {error}.", fix="Write networks as 127.0.0.0/8 or fd00::/8."
        ) from error
