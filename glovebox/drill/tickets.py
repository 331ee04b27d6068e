"""The tickets of a drill: two that are good, and those that must not work."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.drill.brief import Key
from glovebox.tickets.claims import AwsApiClaims, SiteClaims, encode, to_base64url
from glovebox.tickets.proxy import ProxyTicket
from glovebox.tickets.signer import Signer

SCANNED_KEY = Key("ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ATTACKER_KEY = Key("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
OTHER_KEY = "ASIAI55QH8DHBEXAMPLE"
"""AWS's documentation has made all of them public: they open nothing."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Tickets:
    """Each as `user:password`."""

    aws_api: str
    site: str
    bad: dict[str, str]
    """Name → one that must not work; all but the forged ones were good somewhere, once or will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the good tickets are for.  `now` and `life` in seconds."""

    scan: str
    now: int
    life: int
    account: str
    bucket: str
    site: str
    address: str


def drill_tickets(signer: Signer, scope: Scope) -> Tickets:
    """All tickets of one drill, signed by the broker's key but for those that claim to be."""

    def claims(start: int = scope.now, key: str = SCANNED_KEY.id, scan: str = scope.scan) -> AwsApiClaims:
        return AwsApiClaims(
            scan=scan,
            iat=start,
            nbf=start,
            exp=start + scope.life,
            key=key,
            account=scope.account,
            buckets=[scope.bucket],
        )

    def signed(one: AwsApiClaims, by: Signer = signer) -> str:
        return _text(by.sign(one))

    forger = Signer(Ed25519PrivateKey.generate())
    ours = encode(msgspec.structs.replace(claims(), kid=signer.kid))
    other = signed(claims(key=OTHER_KEY, scan=f"{scope.scan}-other"))
    stolen_kid = Ed25519PrivateKey.generate().sign(ours.encode("ascii"))
    site = SiteClaims(
        scan=f"{scope.scan}-site", iat=scope.now, nbf=scope.now, exp=scope.now + scope.life,
        host=scope.site, addresses=[scope.address], ports=[80, 443],
    )  # fmt: skip
    bad = {
        "forged": signed(claims(), forger),
        "forged_kid": f"{ours}:{to_base64url(stolen_kid)}",
        "mixed": f"{ours}:{other.partition(':')[2]}",
        "expired": signed(claims(scope.now - DAY)),
        "early": signed(claims(scope.now + DAY)),
        "other_scan": other,
    }
    return Tickets(signed(claims()), _text(signer.sign(site)), bad)


def _text(ticket: ProxyTicket) -> str:
    return f"{ticket.user}:{ticket.password}"
