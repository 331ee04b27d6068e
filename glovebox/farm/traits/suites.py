"""Hosts of every version, with suites, groups and orders that tell audits apart."""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

from glovebox.farm.identities import good, of_key
from glovebox.farm.model import Expected, Legacy, Tls, Trait
from glovebox.farm.pages import front
from glovebox.farm.primes import modp_2048, oakley_1024
from glovebox.farm.traits.common import RSA, TLS13, USUAL, USUAL_GROUPS, VALID, Suites, to_https
from glovebox.farm.web import site
from glovebox.siteaudit.record import MozillaProfile, VersionName

_CBC_RSA = frozenset({"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"})
_GCM_RSA = frozenset({"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"})
_OLD_CIPHERS = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA"
_DHE = frozenset({"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"})
_AES = "TLS_RSA_WITH_AES_128_CBC_SHA"
_RC4 = frozenset({"TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_RC4_128_MD5"})
_DES3 = "TLS_RSA_WITH_3DES_EDE_CBC_SHA"


class _Proves(TypedDict, total=False):
    """What a host proves beside its suites."""

    groups: frozenset[str]
    key_exchanges: frozenset[str]
    server_preference: Literal["yes", "no"]


def _site(
    name: str,
    shows: str,
    title: str,
    tls: Tls,
    suites: Suites | None,
    profile: MozillaProfile | None = None,
    **proves: Unpack[_Proves],
) -> Trait:
    expects = Expected(https=True, suites=suites, profile=profile, title=title, reasons=VALID, **proves)
    return Trait(name=name, shows=shows, http=to_https(name), https=tls, expects=expects)


def _page(title: str) -> bytes:
    return front(title).encoded()


def _legacy(
    name: str,
    shows: str,
    title: str,
    versions: tuple[VersionName, VersionName],
    ciphers: tuple[str, ...],
    suites: Suites,
    profile: MozillaProfile = "none",
    macs: tuple[str, ...] = ("sha",),
) -> Trait:
    service = Legacy(_page(title), of_key("rsa2048"), versions, ciphers, macs)
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=service,
        expects=Expected(https=True, suites=suites, profile=profile, title=title, reasons=VALID),
    )


def _each(suites: frozenset[str], *versions: VersionName) -> Suites:
    return dict.fromkeys(versions, suites)


TRAITS: tuple[Trait, ...] = (
    _site(
        "modern",
        "TLS 1.3 alone, P-256: Mozilla's modern profile",
        "Marlow Bridge Digital Office",
        Tls(site(front("Marlow Bridge Digital Office")), good, ("TLSv1.3", "TLSv1.3"), server_order=False),
        {"TLSv1.3": TLS13},
        "modern",
        groups=USUAL_GROUPS,
    ),
    _site(
        "intermediate",
        "TLS 1.2 and 1.3 with Mozilla's intermediate suites",
        "Marlow Bridge Housing Department",
        Tls(
            site(front("Marlow Bridge Housing Department")),
            good,
            ciphers="ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305",
            server_order=False,
        ),
        USUAL,
        "intermediate",
        groups=USUAL_GROUPS,
    ),
    _site(
        "old",
        "TLS 1.0 to 1.3 with suites for clients of 2010: Mozilla's old profile",
        "Marlow Bridge Planning Archive",
        Tls(
            site(front("Marlow Bridge Planning Archive")),
            of_key("rsa2048"),
            ("TLSv1.0", "TLSv1.3"),
            _OLD_CIPHERS,
        ),
        {
            "TLSv1.0": _CBC_RSA,
            "TLSv1.1": _CBC_RSA,
            "TLSv1.2": _CBC_RSA | _GCM_RSA,
            "TLSv1.3": TLS13,
        },
        "old",
    ),
    _site(
        "tls10",
        "TLS 1.0 to 1.2",
        "Marlow Bridge Fire Station",
        Tls(
            site(front("Marlow Bridge Fire Station")),
            of_key("rsa2048"),
            ("TLSv1.0", "TLSv1.2"),
            _OLD_CIPHERS,
        ),
        {"TLSv1.0": _CBC_RSA, "TLSv1.1": _CBC_RSA, "TLSv1.2": _CBC_RSA | _GCM_RSA},
    ),
    _site(
        "tls10-only",
        "Nothing newer than TLS 1.0",
        "Marlow Bridge Water Board",
        Tls(
            site(front("Marlow Bridge Water Board")), of_key("rsa2048"), ("TLSv1.0", "TLSv1.0"), _OLD_CIPHERS
        ),
        {"TLSv1.0": _CBC_RSA},
    ),
    _site(
        "tls11-only",
        "TLS 1.1 alone",
        "Marlow Bridge Parking Permits",
        Tls(
            site(front("Marlow Bridge Parking Permits")),
            of_key("rsa2048"),
            ("TLSv1.1", "TLSv1.1"),
            _OLD_CIPHERS,
        ),
        {"TLSv1.1": _CBC_RSA},
    ),
    _site(
        "tls12-only",
        "TLS 1.2 alone, good suites",
        "Marlow Bridge Swimming Pool",
        Tls(site(front("Marlow Bridge Swimming Pool")), of_key("rsa2048"), ("TLSv1.2", "TLSv1.2")),
        {"TLSv1.2": RSA},
        server_preference="yes",
    ),
    _site(
        "ecdsa-p384",
        "A P-384 certificate",
        "Marlow Bridge Police Station",
        Tls(site(front("Marlow Bridge Police Station")), of_key("p384")),
        USUAL,
    ),
    _site(
        "rsa3072",
        "An RSA certificate of 3072 bits",
        "Marlow Bridge Health Centre",
        Tls(site(front("Marlow Bridge Health Centre")), of_key("rsa3072")),
        {"TLSv1.2": RSA, "TLSv1.3": TLS13},
    ),
    _site(
        "client-order",
        "The client's order of suites decides",
        "Marlow Bridge Youth Club",
        Tls(site(front("Marlow Bridge Youth Club")), good, server_order=False),
        USUAL,
        server_preference="no",
    ),
    _site(
        "one-group",
        "P-384 is the only key-exchange group",
        "Marlow Bridge Chamber of Commerce",
        Tls(site(front("Marlow Bridge Chamber of Commerce")), good, group="secp384r1"),
        USUAL,
        groups=frozenset({"secp384r1"}),
    ),
    _site(
        "one-suite",
        "One suite of TLS 1.2 and nothing else",
        "Marlow Bridge Ferry",
        Tls(
            site(front("Marlow Bridge Ferry")),
            good,
            ("TLSv1.2", "TLSv1.2"),
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        {"TLSv1.2": frozenset({"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"})},
    ),
    _site(
        "every-suite",
        "Whatever OpenSSL has, as careless administrators write ALL",
        "Marlow Bridge Car Boot Sale",
        Tls(site(front("Marlow Bridge Car Boot Sale")), of_key("rsa2048"), ("TLSv1.0", "TLSv1.3"), "ALL"),
        None,
        "none",
    ),
    _site(
        "dhe",
        "Finite-field Diffie-Hellman of 2048 bits",
        "Marlow Bridge Bowls Club",
        Tls(
            site(front("Marlow Bridge Bowls Club")),
            of_key("rsa2048"),
            ("TLSv1.2", "TLSv1.2"),
            "DHE+AESGCM",
            dh_prime=modp_2048(),
        ),
        {"TLSv1.2": _DHE},
        key_exchanges=frozenset({"DH 2048"}),
    ),
    _site(
        "weak-dh",
        "Finite-field Diffie-Hellman of 1024 bits, which Logjam broke",
        "Marlow Bridge Model Railway",
        Tls(
            site(front("Marlow Bridge Model Railway")),
            of_key("rsa2048"),
            ("TLSv1.2", "TLSv1.2"),
            "DHE+AESGCM",
            dh_prime=oakley_1024(),
        ),
        {"TLSv1.2": _DHE},
        key_exchanges=frozenset({"DH 1024"}),
    ),
    _legacy(
        "triple-des",
        "3DES beside AES, which Sweet32 broke",
        "Marlow Bridge Cemetery Office",
        ("TLSv1.0", "TLSv1.2"),
        ("aes128", "3des"),
        _each(frozenset({_AES, _DES3}), "TLSv1.0", "TLSv1.1", "TLSv1.2"),
        "old",
    ),
    _legacy(
        "rc4",
        "RC4 beside AES",
        "Marlow Bridge Lost Property",
        ("TLSv1.0", "TLSv1.2"),
        ("aes128", "rc4"),
        _each(_RC4 | {_AES}, "TLSv1.0", "TLSv1.1", "TLSv1.2"),
        macs=("sha", "md5"),
    ),
    _legacy(
        "null-cipher",
        "A suite that encrypts nothing",
        "Marlow Bridge Ham Radio Club",
        ("TLSv1.2", "TLSv1.2"),
        ("aes128", "null"),
        _each(frozenset({_AES, "TLS_RSA_WITH_NULL_SHA"}), "TLSv1.2"),
    ),
    _legacy(
        "sslv3",
        "SSLv3, which POODLE broke, up to TLS 1.2",
        "Marlow Bridge Printing Works",
        ("SSLv3", "TLSv1.2"),
        ("aes128", "3des"),
        _each(frozenset({_AES, _DES3}), "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2"),
    ),
    Trait(
        name="sslv3-only",
        shows="Nothing newer than SSLv3",
        http=to_https("sslv3-only"),
        https=Legacy(
            _page("Never seen"), of_key("rsa2048"), ("SSLv3", "SSLv3"), ("3des", "rc4"), ("sha", "md5")
        ),
        expects=Expected(failure="no_common_version", suites={"SSLv3": _RC4 | {_DES3}}, profile="none"),
    ),
)
