"""The authority issues what it says: judged by `cryptography`'s verifier, by OpenSSL and by its own parts."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from glovebox.farm.authority import Authority, Issued, KeyKind, Validity, self_signed

_PEM = serialization.Encoding.PEM


def verify(issued: Issued, root: x509.Certificate, name: str) -> list[x509.Certificate]:
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(name))
    return list(verifier.verify(issued.certificate, list(issued.chain[1:])))


@pytest.mark.parametrize("key", ["rsa2048", "p256", "p384"])
def test_a_leaf_under_an_intermediate_verifies(key: KeyKind) -> None:
    authority = Authority.create().intermediate()
    issued = authority.issue(["good.fleet.test"], key=key, scts=2)
    path = verify(issued, authority.root, "good.fleet.test")
    assert [each.subject for each in path[1:]] == [each.subject for each in authority.chain]
    assert authority.root not in issued.chain


def test_wrong_name_expiry_and_foreign_root_do_not_verify() -> None:
    authority = Authority.create()
    good = authority.issue(["good.fleet.test"])
    old = authority.issue(["good.fleet.test"], not_after=datetime.now(UTC) - timedelta(days=1))
    for issued, root, name in (
        (good, authority.root, "other.fleet.test"),
        (old, authority.root, "good.fleet.test"),
        (good, Authority.create().root, "good.fleet.test"),
        (self_signed(["good.fleet.test"]), authority.root, "good.fleet.test"),
    ):
        with pytest.raises(VerificationError):
            verify(issued, root, name)


def test_an_intermediate_without_the_ca_flag_or_outside_its_names_breaks_the_chain() -> None:
    root = Authority.create()
    for authority in (root.intermediate(ca=False), root.intermediate(permitted_names=["elsewhere.test"])):
        with pytest.raises(VerificationError):
            verify(authority.issue(["good.fleet.test"]), root.certificate, "good.fleet.test")


def test_sha1_certificates_carry_a_sha1_signature_that_verifies() -> None:
    authority = Authority.create(key="rsa2048")
    certificate = authority.issue(["sha1.fleet.test"], signature_hash="sha1").certificate
    algorithm = certificate.signature_hash_algorithm
    assert algorithm is not None
    assert algorithm.name == "sha1"
    key = authority.private_key.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)


def test_sha1_needs_an_rsa_authority() -> None:
    with pytest.raises(TypeError, match="RSA"):
        Authority.create(key="p256").issue(["x.test"], signature_hash="sha1")


def test_extensions_are_there_when_asked_for() -> None:
    issued = Authority.create().issue(
        ["a.test", "127.0.0.1"],
        must_staple=True,
        aia_url="http://aia.test/ca.der",
        crl_url="http://crl.test/ca.crl",
        ocsp_url="http://ocsp.test/",
        scts=3,
    )
    extensions = issued.certificate.extensions
    assert x509.TLSFeatureType.status_request in extensions.get_extension_for_class(x509.TLSFeature).value
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert sorted(each.access_location.value for each in access) == [
        "http://aia.test/ca.der",
        "http://ocsp.test/",
    ]
    points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [name.value for point in points for name in point.full_name or []] == ["http://crl.test/ca.crl"]
    assert len(extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value) == 3
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_the_revocation_list_names_the_revoked_and_is_signed() -> None:
    authority = Authority.create().intermediate()
    bad, good = authority.issue(["bad.test"]).certificate, authority.issue(["good.test"]).certificate
    crl = x509.load_der_x509_crl(authority.crl([bad]))
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]  # never DH here
    assert crl.get_revoked_certificate_by_serial_number(bad.serial_number) is not None
    assert crl.get_revoked_certificate_by_serial_number(good.serial_number) is None


@pytest.mark.parametrize("status", ["good", "revoked", "unknown"])
def test_an_ocsp_response_says_its_status(status: str) -> None:
    authority = Authority.create()
    certificate = authority.issue(["a.test"]).certificate
    response = ocsp.load_der_ocsp_response(authority.ocsp_response(certificate, status=status))  # type: ignore[arg-type]
    assert response.certificate_status is ocsp.OCSPCertStatus[status.upper()]
    assert response.serial_number == certificate.serial_number


@pytest.mark.parametrize("key", ["rsa1024", "rsa4096", "p521", "ed25519"])
def test_openssl_serves_the_written_file_and_a_client_accepts_it(key: KeyKind, tmp_path: Path) -> None:
    authority = Authority.create().intermediate()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    path = authority.issue(["good.fleet.test"], key=key).write(tmp_path / "good.pem")
    assert path.stat().st_mode & 0o777 == 0o600
    server.load_cert_chain(path)
    client = ssl.create_default_context(cadata=authority.root.public_bytes(encoding=_PEM).decode())
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    near, far = socket.socketpair()
    with near, far:
        thread = threading.Thread(target=lambda: server.wrap_socket(far, server_side=True).close())
        thread.start()
        with client.wrap_socket(near, server_hostname="good.fleet.test") as session:
            assert session.version() == "TLSv1.3"
        thread.join()


def test_validity_counts_days_from_its_start() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert Validity.days(31, since=start).not_after == datetime(2026, 2, 1, tzinfo=UTC)
