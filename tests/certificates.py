"""What the tests of certificates share: one authority, a source of documents in memory, and a judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from glovebox.farm.authority import Authority, Validity, pem_of
from glovebox.siteaudit.certificates.documents import DocumentError
from glovebox.siteaudit.certificates.judge import IssuerDocuments, Judgement, judge_certificate
from glovebox.siteaudit.certificates.trust import TrustStore

FQDN = "www.fleet.test"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AIA = "http://pki.fleet.test/issuing.der"
CRL = "http://pki.fleet.test/issuing.crl"
LEAF = Validity.days(90, since=NOW - timedelta(days=10))
PAST = Validity.days(90, since=NOW - timedelta(days=100))
FUTURE = Validity.days(90, since=NOW + timedelta(days=30))
LONG = Validity.days(3_650, since=NOW - timedelta(days=365))
FRESH = Validity.days(7, since=NOW - timedelta(hours=1))
STALE = Validity.days(7, since=NOW - timedelta(days=30))


@cache
def root() -> Authority:
    return Authority.create(common_name="Test Root", validity=LONG)


@cache
def issuing() -> Authority:
    return root().intermediate(common_name="Test Issuing", validity=LONG)


@cache
def issuing_rsa() -> Authority:
    return root().intermediate(common_name="Test Issuing RSA", key="rsa2048", validity=LONG)


@cache
def trust() -> TrustStore:
    return TrustStore(pem_of([root().certificate]).decode())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@dataclass
class Published:
    """A DocumentSource over a dictionary; what is not in it is refused."""

    documents: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        self.asked[url] += 1
        await asyncio.sleep(0)
        if url not in self.documents:
            raise DocumentError("Not found (404).")
        return self.documents[url]


async def judge(
    chain: Sequence[bytes],
    *,
    fqdn: str = FQDN,
    published: Published | None = None,
    staple: bytes | None = None,
    sct_list: bytes | None = None,
    store: TrustStore | None = None,
    now: datetime = NOW,
) -> Judgement:
    store = store or trust()
    documents = IssuerDocuments(published, store) if published else None
    try:
        return await judge_certificate(
            chain, fqdn=fqdn, now=now, trust=store, documents=documents, staple=staple, sct_list=sct_list
        )
    finally:
        if documents:
            await documents.aclose()


def classes(judgement: Judgement) -> list[str]:
    """The failure classes of the reasons, in their order."""
    return [reason.failure_class for reason in judgement.report.reasons]
