"""AWS Signature Version 4, for those who sign without boto3 (standard library only).

Source: "Create a signed AWS API request", IAM User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

from glovebox.drill.brief import Key

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Scope:
    """`date` is YYYYMMDD."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def signed_headers(
    key: Key, method: str, url: str, service: str, region: str, body: bytes = b"", **headers: str
) -> dict[str, str]:
    """The headers of a signed request for `url`; `headers` (underscores for hyphens) are signed, too."""
    now = datetime.now(UTC).strftime(_TIME)
    digest = hashlib.sha256(body).hexdigest()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = {"host": urlsplit(url).netloc, "x-amz-content-sha256": digest, "x-amz-date": now, **named}
    scope = Scope(now[:8], region, service)
    canonical = canonical_request(method, url, signed, digest)
    credential = f"Credential={key.id}/{scope}"
    names = ";".join(sorted(signed))
    mark = signature(key, scope, now, canonical)
    return signed | {"authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={mark}"}


def presigned(key: Key, method: str, url: str, service: str, region: str) -> str:
    """`url` with a signature in its query, good for five minutes."""
    now = datetime.now(UTC).strftime(_TIME)
    scope = Scope(now[:8], region, service)
    query = (
        f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={quote(f'{key.id}/{scope}', safe='')}"
        f"&X-Amz-Date={now}&X-Amz-Expires=300&X-Amz-SignedHeaders=host"
    )
    full = f"{url}{'&' if urlsplit(url).query else '?'}{query}"
    canonical = canonical_request(method, full, {"host": urlsplit(url).netloc}, UNSIGNED)
    return f"{full}&X-Amz-Signature={signature(key, scope, now, canonical)}"


def canonical_request(method: str, url: str, headers: Mapping[str, str], payload_digest: str) -> str:
    """The request as both sides write it down before they sign; `headers` in lower case, the signed ones."""
    parts = urlsplit(url)
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name != "X-Amz-Signature"
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    return "\n".join((method, parts.path or "/", query, lines, ";".join(sorted(headers)), payload_digest))


def signature(key: Key, scope: Scope, time: str, canonical: str) -> str:
    """The signature in hex."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    secret = f"AWS4{key.secret}".encode()
    for part in (
        scope.date,
        scope.region,
        scope.service,
        "aws4_request",
        f"{ALGORITHM}\n{time}\n{scope}\n{digest}",
    ):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    return secret.hex()
