"""Tickets and questions as the gateway's tests use them."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.tickets.claims import AwsApiClaims, SiteClaims
from glovebox.tickets.keys import KeySet
from glovebox.tickets.proxy import ProxyTicket
from glovebox.tickets.signer import Signer

NOW = 1_760_000_000
DAY = time.strftime("%Y%m%d", time.gmtime(NOW))
SCAN = "20251009T085320Z-0a1b2c3d-0000"
KEY = "ASIAIOSFODNN7EXAMPLE"
OTHER_KEY = "AKIAI44QH8DHBEXAMPLE"
ACCOUNT = "123456789012"
BUCKET = "examined-bucket"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
KEYS = KeySet.of([SIGNER.public_key])


def account_claims(now: int = NOW, **changes: object) -> AwsApiClaims:
    values: dict[str, object] = {
        "scan": SCAN,
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "key": KEY,
        "account": ACCOUNT,
        "buckets": [BUCKET, "logs.example"],
    }
    return AwsApiClaims(**{**values, **changes})  # type: ignore[arg-type]  # tests may give wrong types on purpose


def site_claims(now: int = NOW, **changes: object) -> SiteClaims:
    values: dict[str, object] = {
        "scan": SCAN,
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "host": "www.example.com",
        "addresses": ["93.184.216.34", "2606:2800:220:1::1"],
        "ports": [80, 443],
    }
    return SiteClaims(**{**values, **changes})  # type: ignore[arg-type]  # tests may give wrong types on purpose


ACCOUNT_TICKET: ProxyTicket = SIGNER.sign(account_claims())
SITE_TICKET: ProxyTicket = SIGNER.sign(site_claims())


def authorization(key: str = KEY, day: str = DAY, service: str = "ec2", region: str = "us-east-1") -> str:
    """As an SDK writes it."""
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/{day}/{region}/{service}/aws4_request, "
        f"SignedHeaders=content-type;host;x-amz-date, Signature={'0123456789abcdef' * 4}"
    )


def question(
    url: str,
    *,
    method: str = "GET",
    host: str | None = None,
    port: str = "443",
    user: str = ACCOUNT_TICKET.user,
    signature: str | None = None,
    target: str = "-",
    content_type: str = "-",
    length: str = "-",
    encoding: str = "-",
) -> list[str]:
    """The fields of the judge's line, as Squid escapes them."""
    header = authorization() if signature is None else signature
    return [
        "10.0.0.7",
        user,
        method,
        url.split("/")[2].split(":")[0] if host is None else host,
        port,
        url,
        header.replace(" ", "%20"),
        target,
        content_type,
        length,
        encoding,
    ]
