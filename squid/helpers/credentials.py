"""Whose key signs a request: exactly one Signature Version 4 with the ticket's key, and no other credential.

The signature itself is AWS's to check.  What counts here is that every credential in a request is the
scan's own, so that nothing can be written into an account of the scanner's.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from urllib.parse import unquote_plus

from squid.helpers.refusals import RequestRefusedError

SIGNING_WINDOW = 15 * 60
"""Seconds by which AWS lets a signature's time differ from its own; so the credential scope's day is that
of some moment in this window."""
MAX_DECODING = 4
"""Layers of percent-encoding that are looked under; what is wrapped deeper is hiding something."""

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256%20"
    r"Credential=([A-Z0-9]{16,128})/([0-9]{8})/[a-z0-9-]{1,32}/[a-z0-9-]{1,64}/aws4_request,(?:%20)?"
    r"SignedHeaders=[a-z0-9-]{1,64}(?:;[a-z0-9-]{1,64}){0,63},(?:%20)?"
    r"Signature=[0-9a-f]{64}"
)
"""As the SDKs write it, with Squid's escape of the blank."""
_IN_QUERY = re.compile(
    r"x-amz-(?:credential|signature|algorithm|security-token|signedheaders|date|expires|content-sha256)"
    r"|awsaccesskeyid"
    r"|(?:^|[?&;])\s*(?:signature|signatureversion|signaturemethod|securitytoken|authorization)\s*(?:[=&;]|$)"
)
"""Signature Version 4 in the query, Version 2 for S3 and for the query protocol; on lower-case text."""


def check_authorization(header: str, key: str, now: float) -> None:
    """Raises RequestRefusedError unless `header`, as Squid escapes it, is one signature by `key`."""
    match = _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise RequestRefusedError("authorization_malformed")
    if match[1] != key:
        raise RequestRefusedError("foreign_key")
    if match[2] not in _days(int(now) // 60):
        raise RequestRefusedError("stale_signature")


def check_query(query: str) -> None:
    """Raises RequestRefusedError for a credential in `query` (without its question mark), however encoded."""
    if query and any(_IN_QUERY.search(layer.lower()) for layer in layers(query)):
        raise RequestRefusedError("credential_in_query")


def layers(text: str) -> list[str]:
    """`text`, and what is under each layer of percent-encoding.

    Raises RequestRefusedError where there are more than `MAX_DECODING`.
    """
    found = [text]
    while (inner := unquote_plus(found[-1])) != found[-1]:
        if len(found) > MAX_DECODING:
            raise RequestRefusedError("url_malformed")
        found.append(inner)
    return found


@lru_cache(maxsize=2)
def _days(minute: int) -> frozenset[str]:
    """The days that a signature made about now may be of."""
    moments = (minute * 60 - SIGNING_WINDOW, minute * 60 + 60 + SIGNING_WINDOW)
    return frozenset(time.strftime("%Y%m%d", time.gmtime(max(moment, 0))) for moment in moments)
