"""Mozilla's Server Side TLS guideline 5.8 of April 2026, as data.

Source: https://ssl-config.mozilla.org/guidelines/5.8.json (names by IANA), explained at
https://wiki.mozilla.org/Security/Server_Side_TLS.  Version 6.0 is the same without `old`.
"""

from __future__ import annotations

TLS13_SUITES = frozenset(
    {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
)

INTERMEDIATE_SUITES = frozenset(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
)

OLD_SUITES = INTERMEDIATE_SUITES | {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
}

FORMER_SUITES = frozenset(
    {
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
    }
)
"""Suites of guideline 5.7 (2023) with finite-field Diffie-Hellman, which 5.8 took off every list."""

GROUPS = frozenset({"X25519MLKEM768", "x25519", "secp256r1", "secp384r1"})
"""The same for all three profiles."""

STRONG_GROUPS = frozenset(
    {
        "x448",
        "secp521r1",
        "secp256k1",
        *("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"),
        *("brainpoolP256r1tls13", "brainpoolP384r1tls13", "brainpoolP512r1tls13"),
        *("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"),
        *("SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519Kyber768Draft00"),
        *("MLKEM512", "MLKEM768", "MLKEM1024"),
    }
)
"""Off the list, and as strong as it: what libraries accept unless told otherwise."""

WEAK_GROUPS = frozenset(
    {
        *("sect163k1", "sect163r1", "sect163r2", "sect193r1", "sect193r2"),
        *("secp160k1", "secp160r1", "secp160r2", "secp192k1", "secp192r1"),
    }
)
"""Below the 112 bits of strength that NIST SP 800-57 asks for."""

CERTIFICATE_CURVES = frozenset({"prime256v1", "secp384r1"})
MODERN_SIGNATURES = frozenset({"ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA512"})
INTERMEDIATE_SIGNATURES = MODERN_SIGNATURES | {
    "sha256WithRSAEncryption",
    # Stronger hashes of the same family: large authorities sign with them.
    "sha384WithRSAEncryption",
    "sha512WithRSAEncryption",
    "rsassaPss",
}
MIN_RSA_BITS = 2_048
MIN_DH_BITS = 2_048
