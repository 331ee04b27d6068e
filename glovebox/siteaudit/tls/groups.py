"""Key-exchange groups: IANA's names, and which of them a question offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

X25519: Final = 29
SECP256R1: Final = 23
SECP384R1: Final = 24
SECP521R1: Final = 25
X448: Final = 30
X25519MLKEM768: Final = 0x11EC

GROUPS: Mapping[int, str] = {
    **dict(
        enumerate(
            (
                *("sect163k1", "sect163r1", "sect163r2", "sect193r1", "sect193r2", "sect233k1", "sect233r1"),
                *("sect239k1", "sect283k1", "sect283r1", "sect409k1", "sect409r1", "sect571k1", "sect571r1"),
                *("secp160k1", "secp160r1", "secp160r2", "secp192k1", "secp192r1", "secp224k1", "secp224r1"),
                *("secp256k1", "secp256r1", "secp384r1", "secp521r1"),
                *("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", "x25519", "x448"),
                *("brainpoolP256r1tls13", "brainpoolP384r1tls13", "brainpoolP512r1tls13"),
            ),
            start=1,
        )
    ),
    41: "curveSM2",
    **dict(
        zip(range(256, 261), ("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"), strict=True)
    ),
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x11EB: "SecP256r1MLKEM768",
    X25519MLKEM768: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
    0x6399: "X25519Kyber768Draft00",
}
"""IANA's "TLS Supported Groups" registry."""

ONLY_BEFORE_TLS13: tuple[int, ...] = (*range(1, 23), 26, 27, 28)
"""Curves that RFC 8446 took out."""
TLS13_GROUPS: tuple[int, ...] = (
    *(X25519MLKEM768, X25519, SECP256R1, SECP384R1, SECP521R1, X448, 0x11EB, 0x11ED, 0x6399),
    *(0x0200, 0x0201, 0x0202, *range(256, 261), 31, 32, 33, 41),
)
"""A browser's order first."""
TLS12_GROUPS: tuple[int, ...] = (SECP256R1, X25519, SECP384R1, SECP521R1, X448, *ONLY_BEFORE_TLS13)
"""An older client's order.  No finite-field group: naming one would bar a server with a size of its own
from DHE altogether (RFC 7919, section 4), and hide suites."""
SMALL_GROUPS: tuple[int, ...] = (X25519, SECP256R1, SECP384R1, SECP521R1)
"""For the short hello."""
HUNTED_GROUPS: tuple[int, ...] = (*ONLY_BEFORE_TLS13, SECP384R1, SECP521R1, X448, X25519, SECP256R1)
"""The order in which questions about suites of TLS 1.2 and older also ask for groups: first what
TLS 1.3 cannot tell, then what servers name last."""


def group_name(code: int) -> str:
    """IANA's name, or the code for what the registry did not have."""
    return GROUPS.get(code) or f"group 0x{code:04X}"


CURVE_OF_KEY: Mapping[int, bytes] = {
    SECP256R1: bytes.fromhex("06082a8648ce3d030107"),
    SECP384R1: bytes.fromhex("06052b81040022"),
    SECP521R1: bytes.fromhex("06052b81040023"),
}
"""DER of the object identifiers that name an ECDSA key's curve (RFC 5480)."""
