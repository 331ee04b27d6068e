"""TLS for visits: whatever the server speaks, and nothing verified.

The certificate part judges certificates and the prober judges versions; a visit only wants
the page.  So these contexts accept what no other client of ours may accept, and must be
used for nothing but fetching public pages.
"""

from __future__ import annotations

import ssl
import warnings
from functools import cache

from glovebox.siteaudit.record import VersionName

_VERSIONS: dict[VersionName, ssl.TLSVersion] = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_CIPHERS = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
"""Old sites are to be seen, not protected: OpenSSL's level 0 admits short keys, SHA-1 and small groups."""
_LEGACY_SERVER_CONNECT = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT, which has a name in Python from 3.12 on: servers without RFC 5746."""
_NO_VERSION = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "NO_PROTOCOLS_AVAILABLE",
        "WRONG_SSL_VERSION",
        "VERSION_TOO_LOW",
        "VERSION_TOO_HIGH",
    }
)
_UNNAMED_ALERTS = frozenset(
    {
        "UNRECOGNIZED_NAME",
        "UNSUPPORTED_EXTENSION",
        "CERTIFICATE_UNOBTAINABLE",
        "BAD_CERTIFICATE_STATUS_RESPONSE",
    }
)
"""Alerts of RFC 6066, whose OpenSSL names lack the word ALERT."""


@cache
def visiting_context(version: VersionName | None = None) -> ssl.SSLContext:
    """A context for visits, pinned to `version` where the prober found it; made once each, as that is dear.

    `None`, and the versions that OpenSSL no longer speaks (SSLv2, SSLv3), give TLS 1.0 to 1.3.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(_CIPHERS)
    context.options |= _LEGACY_SERVER_CONNECT
    context.set_alpn_protocols(["http/1.1"])
    pinned = _VERSIONS.get(version) if version else None
    with warnings.catch_warnings():
        # Python warns that TLS 1.0 and 1.1 are deprecated, which is the site's business here.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = pinned or ssl.TLSVersion.TLSv1
        context.maximum_version = pinned or ssl.TLSVersion.TLSv1_3
    return context


def tls_failure_class(error: ssl.SSLError) -> str:
    """The failure class of what OpenSSL says, by its reason code."""
    reason = (error.reason or "").upper()
    prefix, _, alert = reason.partition("_ALERT_")
    if not alert and prefix.startswith("TLSV1_"):
        name = prefix.removeprefix("TLSV1_")
        alert = name if name in _UNNAMED_ALERTS else ""
    if alert == "CERTIFICATE_REQUIRED":
        return "client_certificate_required"
    if alert:
        return f"tls_alert:{alert.lower()}"
    if reason in _NO_VERSION:
        return "no_common_version"
    if isinstance(error, ssl.SSLEOFError) or "EOF" in reason:
        return "connection_reset"
    return "tls_protocol_error"
