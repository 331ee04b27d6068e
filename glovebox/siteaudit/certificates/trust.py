"""The trust anchors of an audit, and the verifier that judges against them.

Building takes some ten milliseconds: build one for a run and share it.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from glovebox.errors import ConfigurationError
from glovebox.siteaudit.certificates.reading import Cert, fingerprint_of, read_certificate, without_warnings

MAX_READ = 1_024
"""Certificates kept as read, about 10 KB each: intermediates, and those that many hosts share."""
MAX_DEPTH = 6
"""Intermediates between a site and its root. Public chains have one to three."""


class TrustStore:
    """Trust anchors: `public_roots` (a PEM file; certifi's by default) and `extra_roots` (PEM text).

    Raises ConfigurationError for PEM that is none.
    """

    def __init__(self, extra_roots: str = "", *, public_roots: Path | None = None) -> None:
        public = _load((public_roots or Path(certifi.where())).read_bytes())
        extra = _load(extra_roots.encode()) if extra_roots.strip() else []
        self._public = frozenset(public)
        self._store = Store([*public, *extra])
        self._anchors: defaultdict[bytes, list[x509.Certificate]] = defaultdict(list)
        for root in dict.fromkeys((*public, *extra)):
            self._anchors[root.subject.public_bytes()].append(root)
        self._anchor_certs: dict[x509.Certificate, Cert] = {}
        self._read: OrderedDict[str, Cert] = OrderedDict()

    def read(self, der: bytes) -> Cert:
        """As `read_certificate`, remembering the last thousand."""
        fingerprint = fingerprint_of(der)
        known = self._read.get(fingerprint)
        if known is not None:
            self._read.move_to_end(fingerprint)
            return known
        cert = self._read[fingerprint] = read_certificate(der, fingerprint)
        if len(self._read) > MAX_READ:
            self._read.popitem(last=False)
        return cert

    def anchors(self, subject: bytes) -> Sequence[x509.Certificate]:
        """Trust anchors with this subject (DER)."""
        return self._anchors.get(subject, ())

    def anchor(self, root: x509.Certificate) -> Cert:
        """A trust anchor as read; read when first used, because a run meets a few of the hundred."""
        cert = self._anchor_certs.get(root)
        if cert is None:
            cert = self._anchor_certs[root] = self.read(root.public_bytes(Encoding.DER))
        return cert

    def holds(self, cert: Cert) -> bool:
        """Whether `cert` itself is a trust anchor."""
        return cert.x509 in self.anchors(cert.subject)

    def is_public(self, cert: Cert) -> bool:
        """Whether browsers have this anchor, as against one of our own."""
        return cert.x509 in self._public

    def verify(
        self, leaf: Cert, others: Sequence[Cert], subject: x509.DNSName | x509.IPAddress, now: datetime
    ) -> list[x509.Certificate]:
        """The chain from leaf to anchor, by `cryptography`'s implementation of the web's profile of RFC 5280.

        Raises cryptography.x509.verification.VerificationError, and ValueError for a name or
        certificate that it cannot work with.
        """
        policy = PolicyBuilder().store(self._store).time(now).max_chain_depth(MAX_DEPTH)
        with without_warnings():
            return policy.build_server_verifier(subject).verify(leaf.x509, [other.x509 for other in others])


def _load(pem: bytes) -> list[x509.Certificate]:
    with without_warnings():  # one old public root has the serial number 0
        try:
            return x509.load_pem_x509_certificates(pem)
        except ValueError as error:
            raise ConfigurationError(
                f"The trust anchors are not PEM certificates: {error}.",
                fix="Check the extra roots of the audit's settings.",
            ) from error
