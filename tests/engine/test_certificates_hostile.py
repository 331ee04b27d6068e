"""Whatever a server sends, there is a judgement with a reason, within the record's caps."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from glovebox.farm.authority import PrivateKey, self_signed
from glovebox.siteaudit.certificates.judge import MAX_CHAIN, Judgement
from glovebox.siteaudit.certificates.reading import MAX_DER, UnreadableCertificateError, read_certificate
from glovebox.siteaudit.record import CertData, CertificateReport
from tests.certificates import (
    AIA,
    CRL,
    FQDN,
    FRESH,
    LEAF,
    LONG,
    NOW,
    Published,
    classes,
    der,
    issuing,
    issuing_rsa,
    judge,
    root,
)


def fits_the_record(judgement: Judgement) -> None:
    """The record's types hold their caps when read back, so reading back proves them."""
    msgspec.json.decode(msgspec.json.encode(judgement.report), type=CertificateReport)
    msgspec.json.decode(msgspec.json.encode(judgement.cert_data), type=CertData)


def signed(
    public_key: x509.CertificateBuilder | object, *, subject: x509.Name | None = None, serial: int = 7
) -> x509.Certificate:
    """A certificate of ours for a key or with a subject that the farm's authority does not make."""
    issuer = issuing()
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | dsa.DSAPublicKey)
    assert isinstance(issuer.private_key, ec.EllipticCurvePrivateKey)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer.certificate.subject)
        .subject_name(subject or x509.Name([]))
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(LEAF.not_before)
        .not_valid_after(LEAF.not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(FQDN)]), critical=not subject)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private_key.public_key()),
            critical=False,
        )
        .sign(issuer.private_key, hashes.SHA256())
    )


def resigned(certificate: x509.Certificate, old: bytes, new: bytes) -> bytes:
    """`certificate` with a part of its body exchanged for one of the same length, signed again."""
    body = certificate.tbs_certificate_bytes
    assert len(old) == len(new)
    assert body.count(old) >= 1
    body = body.replace(old, new, 1)
    key: PrivateKey = issuing().private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = b"\0" + key.sign(body, ec.ECDSA(hashes.SHA256()))
    rest = bytes.fromhex("300a06082a8648ce3d040302") + bytes([3, len(signature)]) + signature
    content = body + rest
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\0",
        b"garbage",
        b"-----BEGIN CERTIFICATE-----",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30" * 999,
    ],
)
async def test_bytes_that_are_no_certificate_are_an_invalid_chain(first: bytes) -> None:
    judgement = await judge([first, der(root().certificate)])
    assert classes(judgement) == ["invalid_chain"]
    assert judgement.report.reasons[0].detail.startswith("The certificate cannot be read: ")
    assert not judgement.report.valid
    assert judgement.cert_data.cert_matches_hostname is None
    fits_the_record(judgement)


async def test_no_certificate_at_all_is_an_invalid_chain() -> None:
    judgement = await judge([])
    assert classes(judgement) == ["invalid_chain"]
    assert judgement.cert_data.status_message == "The server sent no certificate."


async def test_garbage_behind_a_good_certificate_is_a_warning_that_names_its_place() -> None:
    leaf, middle = issuing().issue([FQDN], validity=LEAF).chain_der
    report = (await judge([leaf, b"garbage", middle])).report
    assert report.valid
    assert report.warnings[0].startswith("Certificate 2 of the chain cannot be read: ")


async def test_sizes_beyond_reason_are_not_read() -> None:
    with pytest.raises(UnreadableCertificateError, match="bytes long"):
        read_certificate(bytes(MAX_DER + 1))
    chain = issuing().issue([FQDN], validity=LEAF).chain_der
    judgement = await judge([*chain, *[der(root().certificate)] * 200])
    assert "The server sends 202 certificates" in judgement.report.warnings[0]
    assert len(judgement.report.chain) == MAX_CHAIN
    fits_the_record(judgement)


@pytest.mark.parametrize(("serial", "word"), [(b"\xff", "not positive"), (b"\0", "not positive")])
async def test_a_serial_number_that_is_not_positive_is_named(serial: bytes, word: str) -> None:
    certificate = signed(ec.generate_private_key(ec.SECP256R1()).public_key())
    judgement = await judge(
        [resigned(certificate, b"\x02\x01\x07", b"\x02\x01" + serial), der(issuing().certificate)]
    )
    assert set(classes(judgement)) == {"invalid_chain"}
    assert word in judgement.report.reasons[0].detail
    fits_the_record(judgement)


async def test_an_unknown_version_is_named() -> None:
    certificate = signed(ec.generate_private_key(ec.SECP256R1()).public_key())
    judgement = await judge([resigned(certificate, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06")])
    assert classes(judgement) == ["invalid_chain"]
    assert "InvalidVersion" in judgement.report.reasons[0].detail


async def test_extensions_that_cannot_be_read_are_named_and_no_name_is_guessed() -> None:
    """Two extensions of one kind (RFC 5280 4.2 forbids that)."""
    certificate = signed(
        ec.generate_private_key(ec.SECP256R1()).public_key(), subject=issuing().certificate.subject
    )
    body = resigned(certificate, bytes.fromhex("0603551d23"), bytes.fromhex("0603551d11"))
    judgement = await judge([body, der(issuing().certificate)])
    assert set(classes(judgement)) == {"invalid_chain"}
    assert "DuplicateExtension" in judgement.report.reasons[0].detail
    assert judgement.cert_data.cert_matches_hostname is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (lambda: dsa.generate_private_key(2048).public_key(), "weak_key"),
        (lambda: ec.generate_private_key(ec.SECP192R1()).public_key(), "weak_key"),
        (lambda: ec.generate_private_key(ec.SECP256K1()).public_key(), "unsupported_key"),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()).public_key(), "unsupported_key"),
    ],
    ids=["DSA", "P-192", "secp256k1", "brainpool"],
)
async def test_keys_that_no_browser_takes_are_refused(key: object, expected: str) -> None:
    assert callable(key)
    judgement = await judge([der(signed(key())), der(issuing().certificate)])
    assert (classes(judgement), judgement.report.valid) == ([expected], False)


async def test_long_strange_and_repeated_name_parts_fit_the_record() -> None:
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{n}\n\0\u202e\U0001f980" + "x" * 40)
        for n in range(60)
    ]
    attributes += [x509.NameAttribute(x509.ObjectIdentifier(f"1.2.3.{n}"), "y" * 60) for n in range(80)]
    certificate = signed(ec.generate_private_key(ec.SECP256R1()).public_key(), subject=x509.Name(attributes))
    judgement = await judge([der(certificate), der(issuing().certificate)])
    fits_the_record(judgement)
    texts = [judgement.report.chain[0].subject, *judgement.cert_data.subject.values()]
    assert all(text.isprintable() for text in texts)
    assert len(judgement.cert_data.subject) == 40
    assert judgement.report.valid


async def test_many_long_names_fit_the_record() -> None:
    names = [f"{'n' * 60}.{'x' * 60}.{number}.fleet.test" for number in range(900)]
    judgement = await judge(issuing().issue([FQDN, "z" * 400, *names], validity=LEAF).chain_der)
    fits_the_record(judgement)
    assert len(judgement.report.names) == 500


async def test_certificates_that_all_issue_each_other_end_quickly() -> None:
    """Nineteen authorities of one name: the walk stops at its budget."""
    clones = [self_signed(["Loop"], key="p256", validity=LONG).certificate for _ in range(MAX_CHAIN - 1)]
    twin = root().intermediate(common_name="Loop", validity=LONG)
    issued = twin.issue([FQDN], validity=LEAF)
    judgement = await judge([der(issued.certificate), *map(der, clones)])
    assert not judgement.report.valid
    fits_the_record(judgement)


def damaged(good: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`good` with bytes changed, cut and doubled at places that depend on `seed` only."""
    dice = random.Random(seed)  # noqa: S311  repeatable, and nothing is secret
    for _ in range(count):
        body = bytearray(good)
        for _ in range(dice.choice((1, 1, 1, 2, 5))):
            place = dice.randrange(len(body))
            body[place] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, body[place] ^ (1 << dice.randrange(8))))
        if dice.random() < 0.1:
            del body[dice.randrange(len(body)) :]
        yield bytes(body)


def same_body(one: bytes, other: bytes) -> bool:
    """Whether what is signed is the same; bits of the signature's own frame may differ without harm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            bodies = {x509.load_der_x509_certificate(each).tbs_certificate_bytes for each in (one, other)}
        except (ValueError, x509.InvalidVersion):
            return False
    return len(bodies) == 1


@pytest.mark.parametrize("kind", ["leaf", "rsa leaf", "intermediate"])
async def test_damaged_certificates_are_judged_and_never_valid(kind: str) -> None:
    authority = issuing_rsa() if kind == "rsa leaf" else issuing()
    issued = authority.issue(
        [FQDN, "192.0.2.7"], validity=LEAF, scts=2, must_staple=True, aia_url=AIA, crl_url=CRL
    )
    leaf, middle = issued.chain_der
    target = middle if kind == "intermediate" else leaf
    for body in damaged(target, 1_500, seed=len(kind)):
        judgement = await judge([leaf, body] if kind == "intermediate" else [body, middle])
        assert judgement.report.valid is not bool(judgement.report.reasons)
        assert same_body(body, target) or not judgement.report.valid, body.hex()
        fits_the_record(judgement)


async def test_damaged_staples_lists_and_bundles_never_clear_or_raise() -> None:
    issued = issuing().issue([FQDN], validity=LEAF, aia_url=AIA, crl_url=CRL)
    staple = issuing().ocsp_response(issued.certificate, status="revoked", validity=FRESH)
    crl = issuing().crl([issued.certificate], validity=FRESH)
    bodies = zip(damaged(staple, 800, 1), damaged(crl, 800, 2), damaged(issuing().der, 800, 3), strict=True)
    for bad_staple, bad_crl, bad_issuer in bodies:
        report = (
            await judge(issued.chain_der, staple=bad_staple, published=Published({CRL: bad_crl}))
        ).report
        assert report.ocsp_staple in ("invalid", "revoked")
        assert report.crl in ("invalid", "revoked")
        lone = await judge(issued.chain_der[:1], published=Published({AIA: bad_issuer}), now=NOW)
        assert same_body(bad_issuer, issuing().der) or not lone.report.valid, bad_issuer.hex()
        fits_the_record(lone)
