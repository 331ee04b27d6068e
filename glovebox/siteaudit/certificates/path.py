"""The way from a site's certificate to a trust anchor, and where it ends when there is none.

The verifier of `cryptography` says yes or no.  Where it says no, a short walk of our own
finds out how far the chain goes, so that the answer can say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import VerificationError

from glovebox.siteaudit.certificates.names import subject_for_verifier
from glovebox.siteaudit.certificates.oids import VERIFIED_SIGNATURES
from glovebox.siteaudit.certificates.reading import Cert
from glovebox.siteaudit.certificates.trust import MAX_DEPTH, TrustStore
from glovebox.text import visible

MAX_SIGNATURE_CHECKS = 32
"""Of one walk: a hostile server may send certificates that all claim to have issued each other."""

UNNAMEABLE = "the certificate has no name that can be compared"


class End(Enum):
    """What the last certificate of a path is."""

    ANCHOR = "anchor"
    SELF_SIGNED = "self-signed"
    """It signed itself and is no anchor."""
    OPEN = "open"
    """Its issuer is neither sent nor an anchor."""
    FORGED = "forged"
    """A certificate with its issuer's name exists, whose key did not sign it."""


@dataclass(frozen=True, slots=True)
class Path:
    """From the site's certificate upwards.

    `objection` is what the verifier says against it apart from name and dates.
    """

    certs: tuple[Cert, ...]
    end: End
    objection: str | None = None
    verified: bool = False
    """The verifier accepts it at the time asked for."""

    @property
    def leaf(self) -> Cert:
        return self.certs[0]

    @property
    def top(self) -> Cert:
        return self.certs[-1]

    @property
    def issuer(self) -> Cert | None:
        """The leaf's issuer where it is known."""
        return self.certs[1] if len(self.certs) > 1 else None


def find_path(leaf: Cert, others: Sequence[Cert], fqdn: str, now: datetime, trust: TrustStore) -> Path:
    """The path that a browser would take, or the longest that there is."""
    subject = subject_for_verifier(leaf, fqdn)
    objection: str | None = None
    if subject is not None:
        try:
            chain = trust.verify(leaf, others, subject, now)
        except (VerificationError, ValueError) as error:
            objection = _plain(error)
        else:
            known = {cert.x509: cert for cert in (leaf, *others)}
            certs = tuple(known.get(link) or trust.anchor(link) for link in chain)
            return Path(certs, End.ANCHOR, verified=True)
    path = _climb((leaf,), others, trust, iter(range(MAX_SIGNATURE_CHECKS)))
    if path.end is not End.ANCHOR:
        return path
    if subject is None:
        return Path(path.certs, path.end, UNNAMEABLE)
    moment = _common_moment(path.certs, now)
    if moment is None:
        return path  # the dates exclude each other, which the rules report; the rest cannot be judged
    return Path(
        path.certs, path.end, objection if moment == now else _objection(path, subject, moment, trust)
    )


def _objection(
    path: Path, subject: x509.DNSName | x509.IPAddress, moment: datetime, trust: TrustStore
) -> str | None:
    try:
        trust.verify(path.leaf, path.certs[1:], subject, moment)
    except (VerificationError, ValueError) as error:
        return _plain(error)
    return None


def _common_moment(certs: Sequence[Cert], now: datetime) -> datetime | None:
    """A moment at which all were valid, `now` if it is one; `None` where there is no such moment."""
    first = max(cert.not_before for cert in certs)
    last = min(cert.not_after for cert in certs)
    if first > last:
        return None
    return min(max(now, first), last)


def _climb(certs: tuple[Cert, ...], others: Sequence[Cert], trust: TrustStore, budget: Iterator[int]) -> Path:
    """The best path that begins with `certs`: one to an anchor, else the one that gets furthest."""
    top = certs[-1]
    if trust.holds(top):
        return Path(certs, End.ANCHOR)
    anchors = [trust.anchor(root) for root in trust.anchors(top.issuer)]
    for anchor in _signers(top, anchors, budget):
        return Path((*certs, anchor), End.ANCHOR)
    if top.self_issued and _signed(top, top):
        return Path(certs, End.SELF_SIGNED)
    candidates = [other for other in others if other.subject == top.issuer and other not in certs]
    best = Path(certs, End.FORGED if anchors or candidates else End.OPEN)
    if len(certs) > MAX_DEPTH:
        return best
    for issuer in _signers(top, candidates, budget):
        path = _climb((*certs, issuer), others, trust, budget)
        best = max(best, path, key=_progress)
        if best.end is End.ANCHOR:
            break
    return best


def _progress(path: Path) -> tuple[int, int]:
    return [End.FORGED, End.OPEN, End.SELF_SIGNED, End.ANCHOR].index(path.end), len(path.certs)


def _signers(cert: Cert, candidates: Sequence[Cert], budget: Iterator[int]) -> Iterator[Cert]:
    """Those of `candidates` whose key signed `cert`, while the budget lasts."""
    for candidate in candidates:
        if next(budget, None) is None:
            return
        if _signed(cert, candidate):
            yield candidate


def _signed(cert: Cert, issuer: Cert) -> bool:
    """Whether `issuer`'s key made the signature on `cert`.

    A signature by an algorithm that nobody verifies any longer (SHA-1, MD5) counts as made: it is
    refused for its algorithm, which says more than a chain that ends nowhere.
    """
    try:
        cert.x509.verify_directly_issued_by(issuer.x509)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return cert.signature not in VERIFIED_SIGNATURES
    return True


def _plain(error: Exception) -> str:
    """The verifier's message without the part that repeats the certificate."""
    message = str(error).partition(" (encountered processing")[0]
    return visible(message.removeprefix("validation failed: ").removeprefix("candidates exhausted: "), 300)
