"""What the gateway is told: where it listens, whom it serves, what it may reach and how much."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from glovebox.errors import ConfigurationError

PRIVATE_DESTINATIONS = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/127",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
"""IANA's special-purpose registries (RFC 6890 and its successors).

`::ffff:0:0/96` is left out on purpose: Squid holds IPv4 addresses in that form, so it would mean all of them.
"""
HELPER_CHILDREN = 2
"""One may be busy or restarting while the other answers; a third gains nothing on two cores."""
HELPER_CONCURRENCY = 500
"""Lookups under way in one helper.  With 1, a loaded gateway refused four of five good requests."""
CLIENT_CONNECTIONS = 256
"""From one address: a site auditor holds 192 at most, and sixteen workers of a scanner 16."""
CONNECT_SECONDS = 5
"""Until a destination must have accepted: as `AuditSettings.connect_timeout`, so that a site that drops
packets is known as such before the auditor gives the gateway up."""
BODY_BYTES = 16 << 20
"""Larger than any request of a scanner that reads."""
HEADER_KILOBYTES = 16
"""A ticket is below 2 KB, a SigV4 signature below 1 KB, a session token below 4 KB."""
STOP_SECONDS = 10
"""Below the 30 seconds after which a container is killed."""

_HERE = Path(__file__).resolve().parent
_PATH = re.compile(r"/[A-Za-z0-9._/+-]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_WORD = re.compile(r"[A-Za-z0-9._/=:@-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """One gateway.  Raises ConfigurationError for a value that would mean something else in Squid's language.

    Paths are absolute and those that the daemon sees.
    """

    scan_subnets: tuple[str, ...]
    """CIDRs of the clients; nobody else is served."""
    region: str = ""
    """Where the gateway stands, and so where its S3 endpoint leads.  Without one, no ticket opens a bucket
    that it does not name.  `GLOVEBOX_REGION` says it in AWS: no template knows its region."""
    allow_list: str
    """File of exact host names, as `squid.allow_list` writes it."""
    bucket_regions: tuple[str, ...] = ()
    """Regions where `<bucket>.s3.<region>` and `<account>.s3-control.<region>` are let to the judge."""
    tripwires: str = str(_HERE / "tripwires.txt")
    error_pages: str = str(_HERE / "errors")
    public_keys: str
    """File of the keys that sign tickets, for the verify helper."""
    certificate: str
    """The static leaf, with its chain, PEM."""
    certificate_key: str
    upstream_authorities: str
    """PEM of the authorities that AWS's certificates must lead to."""
    name_servers: tuple[str, ...]
    listen: str = "0.0.0.0"  # noqa: S104 - security groups and `scan_subnets` say who may come
    aws_port: int = 3128
    site_port: int = 3129
    private_destinations: tuple[str, ...] = PRIVATE_DESTINATIONS
    """Never reached, whatever a name resolves to or a ticket says."""
    verify_command: tuple[str, ...] = ("/usr/bin/python3", "-m", "squid.helpers.verify_ticket")
    judge_command: tuple[str, ...] = ("/usr/bin/python3", "-m", "squid.helpers.judge_request")
    helper_children: int = HELPER_CHILDREN
    helper_concurrency: int = HELPER_CONCURRENCY
    client_connections: int = CLIENT_CONNECTIONS
    body_bytes: int = BODY_BYTES
    connect_seconds: int = CONNECT_SECONDS
    stop_seconds: int = STOP_SECONDS

    def __post_init__(self) -> None:
        _check_networks("scan_subnets", self.scan_subnets)
        _check_networks("private_destinations", self.private_destinations)
        _check_addresses("name_servers", self.name_servers)
        _check_addresses("listen", (self.listen,))
        paths = (self.allow_list, self.tripwires, self.error_pages, self.public_keys)
        certificates = (self.certificate, self.certificate_key, self.upstream_authorities)
        _check_each("a path", _PATH, (*paths, *certificates))
        _check_each("a region", _REGION, (*self.bucket_regions, *filter(None, (self.region,))))
        for command in (self.verify_command, self.judge_command):
            _check_each("a helper's command", _WORD, command or ("",))
        numbers = (self.helper_children, self.helper_concurrency, self.client_connections, self.body_bytes)
        if min(*numbers, self.connect_seconds, self.stop_seconds) < 1:
            raise ConfigurationError(
                "A limit of the gateway is below 1.", fix="Leave the limit out to get its default."
            )
        if (
            not (0 < self.aws_port < 65_536 and 0 < self.site_port < 65_536)
            or self.aws_port == self.site_port
        ):
            raise ConfigurationError(
                f"The ports {self.aws_port} and {self.site_port} cannot both be listened on."
            )


def _check_networks(name: str, networks: tuple[str, ...]) -> None:
    if not networks:
        raise ConfigurationError(f"{name} is empty.", fix="Name at least one network in CIDR form.")
    for network in networks:
        try:
            parsed = ip_network(network)
        except ValueError as exc:
            raise ConfigurationError(f"{name} holds {network!r}, which is no network: {exc}.") from exc
        if name == "scan_subnets" and parsed.prefixlen == 0:
            raise ConfigurationError(
                f"{name} holds {network}, which is everybody.", fix="Name the scan subnets."
            )


def _check_addresses(name: str, addresses: tuple[str, ...]) -> None:
    if not addresses:
        raise ConfigurationError(f"{name} is empty.")
    for address in addresses:
        try:
            ip_address(address)
        except ValueError as exc:
            raise ConfigurationError(f"{name} holds {address!r}, which is no address.") from exc


def _check_each(what: str, pattern: re.Pattern[str], values: tuple[str, ...]) -> None:
    """Nothing that is substituted into the configuration may hold blanks, quotes or line ends."""
    for value in values:
        if not pattern.fullmatch(value):
            raise ConfigurationError(f"{value!r} is not {what} that the gateway's configuration can hold.")
