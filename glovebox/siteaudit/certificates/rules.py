"""What is wrong with a path, and what is unwise about it: one short rule each.

The verifier stands for the chain as a whole; these rules say in words what a person can
repair, and name what the verifier lets pass (RSA-1024, keys that browsers do not take).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from glovebox.dates import iso
from glovebox.siteaudit.certificates.names import matches
from glovebox.siteaudit.certificates.oids import WEAK_SIGNATURES
from glovebox.siteaudit.certificates.path import UNNAMEABLE, End, Path
from glovebox.siteaudit.certificates.reading import Cert
from glovebox.siteaudit.certificates.trust import TrustStore
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import MAX_TEXT, Failure
from glovebox.text import visible

MOST_TELLING = (
    "revoked",
    "self_signed",
    "untrusted_root",
    "name_mismatch",
    "expired",
    "not_yet_valid",
    "weak_key",
    "unsupported_key",
    "weak_signature",
    "invalid_chain",
    "incomplete_chain",
)
"""Which reason comes first: who vouches, then for whom, then when, then how well.  As Chrome orders them,
but dates before keys, because a date is repaired today."""

MIN_RSA_BITS = 2_048
"""CA/Browser Forum, TLS Baseline Requirements 6.1.5, since 2014."""
MIN_EC_BITS = 256
BROWSER_CURVES = frozenset({"prime256v1", "secp384r1", "secp521r1"})
"""Baseline Requirements 6.1.5; browsers verify signatures on no other curves, and none by Ed25519."""
MAX_SERIAL_BITS = 159
"""20 octets with the first bit clear (RFC 5280 4.1.2.2)."""

LIFETIMES = (
    (datetime(2029, 3, 15, tzinfo=UTC), 47),
    (datetime(2027, 3, 15, tzinfo=UTC), 100),
    (datetime(2026, 3, 15, tzinfo=UTC), 200),
    (datetime(2020, 9, 1, tzinfo=UTC), 398),
    (datetime(2018, 3, 1, tzinfo=UTC), 825),
)
"""Longest life in days by day of issue: Baseline Requirements 6.3.2, with ballot SC-081v3 of April 2025."""
FEW_DAYS = timedelta(days=14)
"""Renewal by machine comes with a third of the life to go; at two weeks it has failed for a while."""
MIN_PUBLIC_SCTS = 2
"""Chrome and Safari ask for two timestamps, three for lives over 180 days."""


def reasons_of(path: Path, fqdn: str, now: datetime) -> Iterator[Failure]:
    """Everything because of which a browser would refuse `path`, and an incomplete chain."""
    leaf = path.leaf
    if leaf.extensions.readable and not matches(leaf, fqdn):
        yield make_failure("name_mismatch", _mismatch(leaf, fqdn))
    yield from _end(path)
    for cert in path.certs:
        yield from _dates(cert, leaf, now)
    # A root is believed for its key; nobody checks the signature on it (RFC 5280 6.1.1 d).
    rooted = path.end in (End.ANCHOR, End.SELF_SIGNED) and len(path.certs) > 1
    links = path.certs[:-1] if rooted else path.certs
    for cert in path.certs:
        yield from _key(cert, leaf)
    for cert in links:
        yield from _signature(cert, leaf)
        yield from _form(cert, leaf)
    yield from _authority(path)


def objection_of(path: Path, found: Sequence[Failure]) -> Iterator[Failure]:
    """What the verifier says, where no rule of ours has said why."""
    explained = {"weak_key", "weak_signature", "unsupported_key", "invalid_chain"}
    if path.objection == UNNAMEABLE:
        explained.add("name_mismatch")
    if path.objection and not any(failure.failure_class in explained for failure in found):
        yield make_failure("invalid_chain", f"The chain does not verify: {path.objection}.")


def in_order(failures: Sequence[Failure]) -> list[Failure]:
    """The most telling first; the order of finding among equals."""
    return sorted(failures, key=lambda failure: MOST_TELLING.index(failure.failure_class))


def warnings_of(path: Path, sent: Sequence[Cert], now: datetime, trust: TrustStore) -> Iterator[str]:
    """What a browser lets pass and a person should know."""
    leaf = path.leaf
    yield from _sending(path, sent, now, trust)
    days, most = lifetime_days(leaf), longest_life(leaf.not_before)
    if most is not None and days > most:
        yield (
            f"The certificate lives for {days} days; those issued on {leaf.not_before:%Y-%m-%d} "
            f"may live for {most} at most (CA/Browser Forum, Baseline Requirements 6.3.2)."
        )
    for cert in path.certs if path.end is not End.ANCHOR else path.certs[:1] + path.certs[1:-1]:
        remaining = cert.not_after - now
        if timedelta() <= remaining < min(FEW_DAYS, (cert.not_after - cert.not_before) / 3):
            yield f"{_which(cert, leaf)} ends in {remaining.days} days, on {iso(cert.not_after)}."
    if leaf.key.curve == "secp521r1":
        yield "The certificate's key is on P-521, which Chrome does not accept from servers."
    if leaf.extensions.is_authority:
        yield "The certificate may sign other certificates (CA:TRUE), which a site's own never should."


def longest_life(issued: datetime) -> int | None:
    """Days that a public certificate issued then may live; `None` for a time before there was a rule."""
    return next((days for since, days in LIFETIMES if issued >= since), None)


def lifetime_days(cert: Cert) -> int:
    """Days from first to last second, both included; a begun day counts (Baseline Requirements 6.3.2)."""
    return -((cert.not_before - cert.not_after - timedelta(seconds=1)) // timedelta(days=1))


def days_left(cert: Cert, now: datetime) -> int:
    """Whole days until the end, negative after it."""
    return (cert.not_after - now) // timedelta(days=1)


def _which(cert: Cert, leaf: Cert) -> str:
    return "The certificate" if cert is leaf else f"The authority's certificate “{cert.title}”"


def _mismatch(leaf: Cert, fqdn: str) -> str:
    names = [visible(name, 120) for name in leaf.extensions.dns_names]
    names += [str(address) for address in leaf.extensions.addresses]
    if names:
        return visible(f"The certificate is for {_listed(names)}, not for {fqdn}.", MAX_TEXT)
    if leaf.extensions.has_names:
        return "The certificate's alternative names hold no DNS name and no address."
    return "The certificate has no subject alternative names; browsers ignore its common name."


def _end(path: Path) -> Iterator[Failure]:
    top = path.top
    if path.end is End.SELF_SIGNED and top is path.leaf:
        yield make_failure("self_signed", f"“{top.title}” is signed by its own key and by nobody else.")
    elif path.end is End.SELF_SIGNED:
        yield make_failure("untrusted_root", f"The chain ends at “{top.title}”, which browsers do not trust.")
    elif path.end is End.FORGED:
        yield make_failure(
            "invalid_chain",
            f"{_which(top, path.leaf)} names an issuer whose key did not sign it: {top.issuer_text}.",
        )
    elif path.end is End.OPEN and _ends_at_private_root(path):
        yield make_failure(
            "untrusted_root", f"The chain is issued by “{top.issuer_text}”, which browsers do not trust."
        )
    elif path.end is End.OPEN:
        yield make_failure("incomplete_chain", missing_issuer(top))


def _ends_at_private_root(path: Path) -> bool:
    """Whether what is missing is a root, which servers rightly leave out.

    Public authorities publish the address of the next certificate in every intermediate; an
    intermediate without one is the last below a root that we do not know.
    """
    return path.top is not path.leaf and not path.top.extensions.issuer_urls


def missing_issuer(top: Cert) -> str:
    """The detail of an incomplete chain."""
    issuer = top.issuer_text or "nameless"
    return visible(f"The server does not send the certificate of the issuer: {issuer}.", MAX_TEXT)


def _dates(cert: Cert, leaf: Cert, now: datetime) -> Iterator[Failure]:
    if now > cert.not_after:
        yield make_failure("expired", f"{_which(cert, leaf)} ended on {iso(cert.not_after)}.")
    elif now < cert.not_before:
        yield make_failure("not_yet_valid", f"{_which(cert, leaf)} begins on {iso(cert.not_before)}.")


def _key(cert: Cert, leaf: Cert) -> Iterator[Failure]:
    key, which = cert.key, _which(cert, leaf)
    if key.kind == "RSA" and key.bits < MIN_RSA_BITS:
        yield make_failure("weak_key", f"{which} has an RSA key of {key.bits} bits.")
    elif key.kind == "DSA":
        yield make_failure("weak_key", f"{which} has a DSA key of {key.bits} bits.")
    elif key.kind == "ECDSA" and key.bits < MIN_EC_BITS:
        yield make_failure("weak_key", f"{which} has an ECDSA key of {key.bits} bits ({key.curve}).")
    elif key.kind == "ECDSA" and key.curve not in BROWSER_CURVES:
        yield make_failure("unsupported_key", f"{which} has a key on the curve {key.curve}.")
    elif key.kind in ("Ed25519", "Ed448"):
        yield make_failure("unsupported_key", f"{which} has an {key.kind} key.")


def _signature(cert: Cert, leaf: Cert) -> Iterator[Failure]:
    if cert.signature in WEAK_SIGNATURES:
        yield make_failure("weak_signature", f"{_which(cert, leaf)} is signed with {cert.signature}.")


def _form(cert: Cert, leaf: Cert) -> Iterator[Failure]:
    which = _which(cert, leaf)
    for defect in cert.defects:
        yield make_failure("invalid_chain", f"{which}: {defect}.")
    if cert.serial <= 0:
        yield make_failure(
            "invalid_chain", f"{which} has a serial number that is not positive: {cert.serial:x}"[:200]
        )
    elif cert.serial.bit_length() > MAX_SERIAL_BITS:
        yield make_failure(
            "invalid_chain", f"{which} has a serial number of {cert.serial.bit_length()} bits."
        )
    if cert.not_after < cert.not_before:
        yield make_failure("invalid_chain", f"{which} ends before it begins.")
    names = cert.extensions.dns_names
    bad = next((name for name in names if "\0" in name), None)
    if bad is not None:
        yield make_failure("invalid_chain", f"{which} holds a name with a NUL character: {visible(bad, 200)}")


def _authority(path: Path) -> Iterator[Failure]:
    """An issuer must be one (RFC 5280 4.2.1.9 and 4.2.1.3), and the certificate be for servers (4.2.1.12)."""
    anchored = path.end is End.ANCHOR and len(path.certs) > 1
    for cert in path.certs[1:-1] if anchored else path.certs[1:]:
        if not cert.extensions.is_authority:
            yield make_failure(
                "invalid_chain", f"“{cert.title}” issued a certificate and is no authority (CA:FALSE)."
            )
        elif not cert.extensions.signs_certificates:
            yield make_failure(
                "invalid_chain", f"“{cert.title}” issued a certificate; its key usage forbids that."
            )
    if not path.leaf.extensions.serves_tls:
        yield make_failure("invalid_chain", "The certificate is not for web servers (extended key usage).")


def _sending(path: Path, sent: Sequence[Cert], now: datetime, trust: TrustStore) -> Iterator[str]:
    """RFC 5246 7.4.2 wants each certificate followed by its issuer; RFC 8446 4.4.2 still advises it."""
    followers = list(dict.fromkeys(sent[1:]))
    used = [cert for cert in path.certs[1:] if cert in followers]
    roots = [cert for cert in followers if cert.self_issued and (trust.holds(cert) or cert in used)]
    unused = [cert for cert in followers if cert not in used and cert not in roots]
    if roots:
        yield f"The root “{roots[0].title}” is sent too: browsers have it, and each handshake grows."
    if [cert for cert in followers if cert in used] != used:
        yield "The chain is sent in the wrong order: each certificate should be followed by its issuer."
    if unused:
        titles = [f"“{cert.title}”{' (expired)' if now > cert.not_after else ''}" for cert in unused]
        yield f"Sent and no part of the chain: {_listed(titles, 3)}."
    if len(sent) > 1 + len(followers):
        yield "A certificate is sent more than once."


def _listed(names: list[str], most: int = 5) -> str:
    """`a, b, c and 7 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
