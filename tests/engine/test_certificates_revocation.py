"""Revocation lists, stapled answers and timestamps: believed only when they verify."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from glovebox.farm.authority import Authority, Issued, Validity
from glovebox.siteaudit.certificates.crl import MAX_CRL_BYTES
from glovebox.siteaudit.certificates.documents import UnlistedDocumentError
from glovebox.siteaudit.certificates.judge import IssuerDocuments, judge_certificate
from glovebox.siteaudit.record import STATUS_CODES
from tests.certificates import (
    CRL,
    FQDN,
    FRESH,
    LEAF,
    LONG,
    NOW,
    PAST,
    STALE,
    Published,
    classes,
    issuing,
    issuing_rsa,
    judge,
    root,
    trust,
)


def listed(names: tuple[str, ...] = (FQDN,), authority: Authority | None = None) -> Issued:
    return (authority or issuing()).issue(names, validity=LEAF, crl_url=CRL)


def crl_of(
    authority: Authority,
    *extensions: tuple[x509.ExtensionType, bool],
    revoked: tuple[x509.Certificate, ...] = (),
) -> bytes:
    """A list with extensions that the farm's authority does not make."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(FRESH.not_before)
        .next_update(FRESH.not_after)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for certificate in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(FRESH.not_before)
            .add_extension(x509.CRLReason(x509.ReasonFlags.remove_from_crl), critical=False)
            .build()
        )
    assert isinstance(authority.private_key, ec.EllipticCurvePrivateKey)
    return builder.sign(authority.private_key, hashes.SHA256()).public_bytes(Encoding.DER)


def part_of_list(url: str, *, only_authorities: bool = False) -> tuple[x509.ExtensionType, bool]:
    return (
        x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier(url)],
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=only_authorities,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        ),
        True,
    )


# ---------------------------------------------------------------- revocation lists


async def test_a_certificate_that_is_not_on_the_list_is_good() -> None:
    other = listed()
    published = Published({CRL: issuing().crl([other.certificate], validity=FRESH)})
    judgement = await judge(listed().chain_der, published=published)
    assert (judgement.report.crl, classes(judgement), judgement.report.valid) == ("good", [], True)
    assert judgement.report.warnings == []


async def test_a_certificate_on_the_list_is_revoked() -> None:
    issued = listed()
    published = Published({CRL: issuing().crl([issued.certificate], validity=FRESH)})
    judgement = await judge(issued.chain_der, published=published)
    assert (judgement.report.crl, classes(judgement), judgement.report.valid) == (
        "revoked",
        ["revoked"],
        False,
    )
    assert judgement.cert_data.status_code == STATUS_CODES["revoked"]
    assert (
        judgement.cert_data.status_message == "Revoked on 2026-06-01T11:00:00Z (keyCompromise), says the CRL."
    )


async def test_a_list_in_pem_is_read_too() -> None:
    issued = listed()
    crl = x509.load_der_x509_crl(issuing().crl([issued.certificate], validity=FRESH))
    published = Published({CRL: crl.public_bytes(Encoding.PEM)})
    assert (await judge(issued.chain_der, published=published)).report.crl == "revoked"


async def test_an_old_list_still_revokes_and_no_longer_clears() -> None:
    revoked, other = listed(), listed()
    published = Published({CRL: issuing().crl([revoked.certificate], validity=STALE)})
    assert (await judge(revoked.chain_der, published=published)).report.crl == "revoked"
    report = (await judge(other.chain_der, published=published)).report
    assert (report.crl, report.valid) == ("invalid", True)
    assert "was to be renewed by 2026-05-09" in report.warnings[0]


async def test_an_entry_that_lifts_a_hold_does_not_revoke() -> None:
    issued = listed()
    published = Published({CRL: crl_of(issuing(), revoked=(issued.certificate,))})
    assert (await judge(issued.chain_der, published=published)).report.crl == "good"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: b"garbage", id="garbage"),
        pytest.param(lambda: issuing_rsa().crl(validity=FRESH), id="of another issuer"),
        pytest.param(lambda: root().crl(validity=FRESH), id="of the root"),
        pytest.param(
            lambda: root().intermediate(common_name="Test Issuing").crl(validity=FRESH),
            id="signed by another key",
        ),
        pytest.param(
            lambda: issuing().crl(validity=Validity.days(7, since=NOW + timedelta(days=1))), id="of tomorrow"
        ),
        pytest.param(lambda: crl_of(issuing(), part_of_list("http://pki.test/2.crl")), id="another part"),
        pytest.param(
            lambda: crl_of(issuing(), part_of_list(CRL, only_authorities=True)), id="of authorities only"
        ),
        pytest.param(lambda: crl_of(issuing(), (x509.DeltaCRLIndicator(1), True)), id="a delta"),
        pytest.param(
            lambda: crl_of(
                issuing(), (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
            ),
            id="an unknown critical extension",
        ),
    ],
)
async def test_a_list_that_cannot_be_believed_clears_nobody(body: object) -> None:
    assert callable(body)
    report = (await judge(listed().chain_der, published=Published({CRL: body()}))).report
    assert (report.crl, report.valid) == ("invalid", True)
    assert report.warnings[0].startswith("Revocation could not be checked: ")


async def test_the_right_part_of_a_list_is_believed() -> None:
    published = Published({CRL: crl_of(issuing(), part_of_list(CRL))})
    assert (await judge(listed().chain_der, published=published)).report.crl == "good"


async def test_lists_that_are_absent_unreachable_or_too_large_are_told_apart() -> None:
    plain = issuing().issue([FQDN], validity=LEAF)
    assert (await judge(plain.chain_der, published=Published())).report.crl == "no_crl"
    assert (await judge(listed().chain_der, published=None)).report.crl == "not_tested"
    missing = (await judge(listed().chain_der, published=Published())).report
    assert (missing.crl, missing.valid) == ("unavailable", True)
    assert "Not found (404)." in missing.warnings[0]
    large = (await judge(listed().chain_der, published=Published({CRL: bytes(MAX_CRL_BYTES + 1)}))).report
    assert large.crl == "unavailable"


async def test_a_list_of_a_host_that_may_not_be_asked_leaves_revocation_untested_and_names_it() -> None:
    class Unlisted(Published):
        async def fetch(self, url: str, *, max_bytes: int) -> bytes:
            raise UnlistedDocumentError("crl.evil.test is not on our list of authorities' hosts.")

    report = (await judge(listed().chain_der, published=Unlisted())).report
    assert (report.crl, report.valid) == ("not_tested", True)
    assert report.warnings[0].startswith("Revocation could not be checked: ")
    assert "crl.evil.test is not on our list" in report.warnings[0]


async def test_nobody_is_asked_about_a_chain_that_nobody_trusts() -> None:
    stranger = Authority.create(validity=LONG)
    published = Published()
    report = (await judge(listed(authority=stranger).chain_der, published=published)).report
    assert report.crl == "not_tested"
    assert not published.asked


async def test_an_expired_certificate_can_be_revoked_as_well() -> None:
    issued = issuing().issue([FQDN], validity=PAST, crl_url=CRL)
    published = Published({CRL: issuing().crl([issued.certificate], validity=FRESH)})
    assert classes(await judge(issued.chain_der, published=published)) == ["revoked", "expired"]


async def test_a_hundred_sites_of_one_authority_fetch_its_list_once() -> None:
    published = Published({CRL: issuing().crl(validity=FRESH)})
    documents = IssuerDocuments(published, trust())
    chain = listed(names=("*.fleet.test",)).chain_der

    async def audit(number: int) -> str:
        judgement = await judge_certificate(
            chain,
            fqdn=f"n{number}.fleet.test",
            now=NOW,
            trust=trust(),
            documents=documents,
            staple=None,
            sct_list=None,
        )
        return judgement.report.crl

    assert set(await asyncio.gather(*map(audit, range(100)))) == {"good"}
    assert published.asked == {CRL: 1}
    await documents.aclose()


# ---------------------------------------------------------------- stapled answers


def responder(*, entitled: bool = True, issuer: Authority | None = None) -> Issued:
    """A delegated responder's certificate (RFC 6960 4.2.2.2)."""
    issuer = issuer or issuing()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer.certificate.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Responder")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LEAF.not_before)
        .not_valid_after(LEAF.not_after)
    )
    if entitled:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
        )
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    return Issued(key, (builder.sign(issuer.private_key, hashes.SHA256()),))


def answer_of(signer: Issued, about: Issued) -> bytes:
    """A good answer about `about`, signed by a delegated responder."""
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about.certificate,
            issuer=issuing().certificate,
            algorithm=hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=FRESH.not_before,
            next_update=FRESH.not_after,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, signer.certificate)
        .certificates([signer.certificate])
    )
    assert isinstance(signer.private_key, ec.EllipticCurvePrivateKey)
    return builder.sign(signer.private_key, hashes.SHA256()).public_bytes(Encoding.DER)


async def test_a_good_staple_satisfies_must_staple() -> None:
    issued = issuing().issue([FQDN], validity=LEAF, must_staple=True)
    staple = issuing().ocsp_response(issued.certificate, validity=FRESH)
    report = (await judge(issued.chain_der, staple=staple)).report
    assert (report.ocsp_staple, report.must_staple, report.warnings) == ("good", True, [])
    assert report.valid


async def test_a_staple_may_be_signed_with_rsa() -> None:
    issued = issuing_rsa().issue([FQDN], validity=LEAF)
    staple = issuing_rsa().ocsp_response(issued.certificate, validity=FRESH)
    assert (await judge(issued.chain_der, staple=staple)).report.ocsp_staple == "good"


async def test_a_staple_can_revoke() -> None:
    issued = issuing().issue([FQDN], validity=LEAF)
    staple = issuing().ocsp_response(issued.certificate, status="revoked", validity=FRESH)
    judgement = await judge(issued.chain_der, staple=staple)
    assert (judgement.report.ocsp_staple, judgement.report.valid) == ("revoked", False)
    assert classes(judgement) == ["revoked"]
    assert "keyCompromise" in judgement.cert_data.status_message


async def test_a_responder_of_the_issuer_may_sign() -> None:
    issued = issuing().issue([FQDN], validity=LEAF)
    report = (await judge(issued.chain_der, staple=answer_of(responder(), issued))).report
    assert (report.ocsp_staple, report.warnings) == ("good", [])


@pytest.mark.parametrize("who", ["not entitled", "of another issuer"])
async def test_nobody_else_may_sign(who: str) -> None:
    issued = issuing().issue([FQDN], validity=LEAF)
    signer = responder(entitled=False) if who == "not entitled" else responder(issuer=root())
    report = (await judge(issued.chain_der, staple=answer_of(signer, issued))).report
    assert (report.ocsp_staple, report.valid) == ("invalid", True)
    assert report.warnings[0].startswith("The stapled answer cannot be believed: ")


async def test_staples_that_say_nothing_are_told_apart() -> None:
    issued, other = (issuing().issue([FQDN], validity=LEAF) for _ in range(2))
    unknown = issuing().ocsp_response(issued.certificate, status="unknown", validity=FRESH)
    late = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    staples = {
        "none": None,
        "unknown_status": unknown,
        "expired": issuing().ocsp_response(issued.certificate, validity=STALE),
        "invalid": issuing().ocsp_response(other.certificate, validity=FRESH),
    }
    for expected, staple in staples.items():
        assert (await judge(issued.chain_der, staple=staple)).report.ocsp_staple == expected
    for bad in (b"garbage", b"\x30" * 70_000, late.public_bytes(Encoding.DER), unknown[:-1] + b"\0"):
        assert (await judge(issued.chain_der, staple=bad)).report.ocsp_staple == "invalid"


async def test_a_staple_without_a_known_issuer_stays_unknown() -> None:
    issued = issuing().issue([FQDN], validity=LEAF)
    staple = issuing().ocsp_response(issued.certificate, validity=FRESH)
    report = (await judge(issued.chain_der[:1], staple=staple)).report
    assert report.ocsp_staple == "unknown"


# ---------------------------------------------------------------- timestamps


async def test_timestamps_of_certificate_and_handshake_count_once_each() -> None:
    def sct(log: int) -> bytes:
        body = b"\0" + bytes([log]) * 32 + bytes(8) + b"\0\0" + b"\x04\x03" + b"\0\x08"
        body += bytes.fromhex("3006020101020101")
        return len(body).to_bytes(2, "big") + body

    chain = issuing().issue([FQDN], validity=LEAF, scts=2).chain_der
    both = sct(2) + sct(9)
    extension = len(both).to_bytes(2, "big") + both
    report = (await judge(chain, sct_list=extension)).report
    assert (report.scts, report.warnings) == (3, [])
    report = (await judge(chain, sct_list=extension + b"\0")).report
    assert report.scts == 2
    assert "malformed: bytes follow the list" in report.warnings[0]
