"""Which of Mozilla's three TLS profiles a server keeps, and what keeps it from the next better one.

The rating follows guideline 5.8 (see `mozilla.py`) for protocol versions, suites, groups and the
kind of the certificate's key and signature.  Each profile holds the better ones: a server of
TLS 1.3 alone with an RSA certificate is `intermediate`.  Three readings of ours:

- `old` also takes the Diffie-Hellman suites of guideline 5.7, whose `intermediate` had them: else
  a server set up by the former guideline would be rated below one with 3DES.
- Groups off the list that are as strong as those on it keep a server from `modern` only: most
  servers accept what their library accepts, and it weakens nobody.  From `old` only weak ones do.
- Life time, HSTS, stapling and who chooses the suite are not rated here; the first three are
  judged with the certificate and the headers.

What could not be tested counts as not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from glovebox.siteaudit.mozilla import (
    CERTIFICATE_CURVES,
    FORMER_SUITES,
    GROUPS,
    INTERMEDIATE_SIGNATURES,
    INTERMEDIATE_SUITES,
    MIN_DH_BITS,
    MIN_RSA_BITS,
    MODERN_SIGNATURES,
    OLD_SUITES,
    STRONG_GROUPS,
    TLS13_SUITES,
    WEAK_GROUPS,
)
from glovebox.siteaudit.record import (
    CertificateSummary,
    MozillaProfile,
    Suite,
    TlsReport,
    VersionName,
    VersionReport,
)

MAX_REASONS = 100
"""As many as the record holds."""

_WEAKNESSES: Sequence[tuple[tuple[str, ...], str]] = (
    (("_NULL",), "no encryption"),
    (("_anon_",), "nobody proves who the server is"),
    (("EXPORT",), "export strength, broken in minutes"),
    (("RC4", "RC2", "_DES_", "IDEA"), "a broken cipher"),
    (("3DES",), "3DES, broken by long connections: Sweet32"),
    (("_MD5",), "MD5"),
    (("TLS_RSA_", "SSL_RSA_", "TLS_DH_", "TLS_ECDH_", "TLS_PSK_"), "no forward secrecy"),
    (("_DHE_",), "finite-field Diffie-Hellman, dropped in guideline 5.8"),
    (("_CBC_",), "CBC mode"),
)
"""What the guideline has against suites, in words; the first that applies counts."""

_VERSIONS: tuple[VersionName, ...] = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_Versions = Mapping[VersionName, VersionReport]


def rate_profile(report: TlsReport, leaf: CertificateSummary | None) -> tuple[MozillaProfile, list[str]]:
    """The best profile that the server keeps, and every reason against the next better one.

    `modern` has no reasons; the reasons of `none` are those against `old`.
    """
    versions: _Versions = {each.version: each for each in report.versions}
    against_modern = _bounded(_against_modern(report, versions, leaf))
    if not against_modern:
        return "modern", []
    against_intermediate = _bounded(_against_intermediate(report, versions, leaf))
    if not against_intermediate:
        return "intermediate", against_modern
    against_old = _bounded(_against_old(versions, report, leaf))
    return ("none", against_old) if against_old else ("old", against_intermediate)


def _against_modern(report: TlsReport, versions: _Versions, leaf: CertificateSummary | None) -> Iterator[str]:
    yield from _versions_beside(versions, {"TLSv1.3"})
    yield from _suites_beside(versions, TLS13_SUITES)
    yield from _groups_beside(report, GROUPS)
    if leaf is None:
        yield "The certificate is not known."
    elif leaf.key_type != "ECDSA" or leaf.key_curve not in CERTIFICATE_CURVES:
        yield f"The certificate's key is {_key(leaf)}, not ECDSA on P-256 or P-384."
    elif leaf.signature_algorithm not in MODERN_SIGNATURES:
        yield f"The certificate is signed with {leaf.signature_algorithm}, not with ECDSA."


def _against_intermediate(
    report: TlsReport, versions: _Versions, leaf: CertificateSummary | None
) -> Iterator[str]:
    yield from _versions_beside(versions, {"TLSv1.2", "TLSv1.3"})
    yield from _suites_beside(versions, TLS13_SUITES | INTERMEDIATE_SUITES)
    yield from _groups_beside(report, GROUPS | STRONG_GROUPS)
    yield from _certificate(leaf)


def _against_old(versions: _Versions, report: TlsReport, leaf: CertificateSummary | None) -> Iterator[str]:
    yield from _versions_beside(versions, {"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"})
    yield from _suites_beside(versions, TLS13_SUITES | OLD_SUITES | FORMER_SUITES)
    for group in report.groups:
        if group in WEAK_GROUPS:
            yield f"Accepts the weak group {group}."
    yield from _weak_exchanges(versions)
    yield from _certificate(leaf)


def _versions_beside(versions: _Versions, allowed: set[VersionName]) -> Iterator[str]:
    if not any(versions[name].supported == "yes" for name in allowed if name in versions):
        yield f"Offers none of {', '.join(sorted(allowed))}."
    for name in _VERSIONS:
        answer = versions[name].supported if name in versions else "unknown"
        if answer == "yes" and name not in allowed:
            yield f"Offers {name}."
        elif answer == "unknown":
            yield f"Whether it offers {name} could not be tested."


def _suites_beside(versions: _Versions, allowed: frozenset[str]) -> Iterator[str]:
    """A suite is named once, whatever the versions that offer it."""
    offered = [each for each in versions.values() if each.supported == "yes"]
    for name in dict.fromkeys(suite.name for each in offered for suite in each.suites):
        if name not in allowed:
            yield f"Offers {name} ({_weakness(name)})."
    for each in offered:
        if each.failure is not None or not each.suites:
            yield f"Not all suites of {each.version} could be tested."


def _groups_beside(report: TlsReport, allowed: frozenset[str]) -> Iterator[str]:
    if not report.groups_tested:
        yield "Its key-exchange groups were not tested."
    for group in report.groups:
        if group not in allowed:
            yield f"Accepts the group {group}, which is not on the list."


def _weak_exchanges(versions: _Versions) -> Iterator[str]:
    """Diffie-Hellman with a group that can be broken (Logjam)."""
    sizes = {bits for suite in _suites(versions.values()) if (bits := _dh_bits(suite)) is not None}
    for bits in sorted(sizes):
        if bits < MIN_DH_BITS:
            yield f"Uses Diffie-Hellman of {bits} bits."


def _suites(versions: Iterable[VersionReport]) -> Iterator[Suite]:
    for each in versions:
        yield from each.suites


def _dh_bits(suite: Suite) -> int | None:
    kind, _, bits = (suite.key_exchange or "").partition(" ")
    return int(bits) if kind == "DH" and bits.isdecimal() else None


def _certificate(leaf: CertificateSummary | None) -> Iterator[str]:
    if leaf is None:
        yield "The certificate is not known."
        return
    strong_rsa = leaf.key_type == "RSA" and leaf.key_bits >= MIN_RSA_BITS
    if not strong_rsa and not (leaf.key_type == "ECDSA" and leaf.key_curve in CERTIFICATE_CURVES):
        yield f"The certificate's key is {_key(leaf)}, not RSA {MIN_RSA_BITS} or ECDSA on P-256 or P-384."
    if leaf.signature_algorithm not in INTERMEDIATE_SIGNATURES:
        yield f"The certificate is signed with {leaf.signature_algorithm}."


def _key(leaf: CertificateSummary) -> str:
    return f"{leaf.key_type} {leaf.key_curve or leaf.key_bits}"


def _weakness(name: str) -> str:
    for parts, words in _WEAKNESSES:
        if any(part in name for part in parts):
            return words
    return "not on the guideline's list"


def _bounded(reasons: Iterator[str]) -> list[str]:
    found = list(reasons)
    if len(found) <= MAX_REASONS:
        return found
    return [*found[: MAX_REASONS - 1], f"And {len(found) - MAX_REASONS + 1} more reasons."]
