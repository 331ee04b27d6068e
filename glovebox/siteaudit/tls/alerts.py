"""Alerts by name (RFC 8446, section 6, and IANA's registry), and what a refusal by one of them proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CLOSE_NOTIFY: Final = 0
UNEXPECTED_MESSAGE: Final = 10
HANDSHAKE_FAILURE: Final = 40
ILLEGAL_PARAMETER: Final = 47
PROTOCOL_VERSION: Final = 70
INSUFFICIENT_SECURITY: Final = 71
INAPPROPRIATE_FALLBACK: Final = 86
MISSING_EXTENSION: Final = 109
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120

ALERTS: Mapping[int, str] = {
    CLOSE_NOTIFY: "close_notify",
    UNEXPECTED_MESSAGE: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    HANDSHAKE_FAILURE: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    ILLEGAL_PARAMETER: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    PROTOCOL_VERSION: "protocol_version",
    INSUFFICIENT_SECURITY: "insufficient_security",
    80: "internal_error",
    INAPPROPRIATE_FALLBACK: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    MISSING_EXTENSION: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    UNRECOGNIZED_NAME: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    NO_APPLICATION_PROTOCOL: "no_application_protocol",
    121: "ech_required",
}

PLAIN_REFUSALS = frozenset(
    {HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, PROTOCOL_VERSION, INSUFFICIENT_SECURITY, MISSING_EXTENSION}
)
"""The server read the question and has nothing in common with it.  Any other alert may have
another cause, a rate limit among them."""
NO_CERTIFICATE_REFUSALS = frozenset({HANDSHAKE_FAILURE, 41, 42, 43, 46, 49, 116})
"""Answers to an empty client certificate that mean: one is required."""


def alert_name(code: int) -> str:
    """IANA's name, or `alert_<code>`."""
    return ALERTS.get(code) or f"alert_{code}"
