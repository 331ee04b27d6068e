"""Each trait of a certificate gets exactly its reasons; where OpenSSL can judge too, it agrees."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509

from glovebox.errors import ConfigurationError
from glovebox.farm.authority import Authority, Issued, Validity, pem_of, self_signed
from glovebox.farm.identities import Identities
from glovebox.farm.model import DOMAIN, Tls
from glovebox.farm.model import Trait as FleetTrait
from glovebox.farm.traits import certificates as fleet
from glovebox.siteaudit.certificates.trust import TrustStore
from glovebox.siteaudit.record import STATUS_CODES
from tests.certificates import (
    AIA,
    FQDN,
    FUTURE,
    LEAF,
    LONG,
    NOW,
    PAST,
    Published,
    classes,
    issuing,
    issuing_rsa,
    judge,
    root,
)


@dataclass(frozen=True)
class Trait:
    """`openssl` is whether OpenSSL accepts it, `None` where it does not judge such a thing."""

    make: Callable[[], Issued]
    reasons: tuple[str, ...] = ()
    warning: str = ""
    """A part of the one warning; no warning at all where empty."""
    openssl: bool | None = None
    fqdn: str = FQDN


def good() -> Issued:
    return issuing().issue([FQDN], validity=LEAF)


def under(authority: Authority) -> Issued:
    return authority.issue([FQDN], validity=LEAF)


def stranger() -> Authority:
    return Authority.create(common_name="Somebody", validity=LONG)


def two_levels() -> Issued:
    policy = root().intermediate(common_name="Test Policy", validity=LONG)
    return under(policy.intermediate(common_name="Test Below", validity=LONG))


def reordered() -> Issued:
    issued = two_levels()
    leaf, near, far = issued.chain
    return issued.sending(leaf, far, near)


def alone(issued: Issued) -> Issued:
    return issued.sending(issued.certificate)


def with_root(issued: Issued, authority: Authority) -> Issued:
    return issued.sending(*issued.chain, authority.root)


def forged() -> Issued:
    """An intermediate of the right name, whose key did not sign the certificate."""
    issued = good()
    twin = root().intermediate(common_name="Test Issuing", validity=LONG)
    return issued.sending(issued.certificate, twin.certificate)


def expired_at_a_stranger() -> Issued:
    authority = stranger()
    return with_root(authority.issue(["old.fleet.test"], validity=PAST), authority)


def key_forbids_signing() -> Issued:
    """A leaf's certificate signs: neither an authority nor entitled by its key usage."""
    return under(root().intermediate(common_name="Not an Authority", ca=False, validity=LONG))


def cross_signed() -> Issued:
    """The same intermediate twice: under a root that nobody trusts, and under ours, which is sent last."""
    issued = good()
    other = stranger().intermediate(common_name="Elsewhere", validity=LONG)
    return issued.sending(issued.certificate, other.certificate, issuing().certificate)


TRAITS: dict[str, Trait] = {
    "good": Trait(good, openssl=True),
    "good, two intermediates": Trait(two_levels, openssl=True),
    "good, RSA 2048 under RSA": Trait(
        lambda: issuing_rsa().issue([FQDN], key="rsa2048", validity=LEAF), openssl=True
    ),
    "good, RSA 4096": Trait(lambda: issuing().issue([FQDN], key="rsa4096", validity=LEAF), openssl=True),
    "good, P-384": Trait(lambda: issuing().issue([FQDN], key="p384", validity=LEAF), openssl=True),
    "P-521": Trait(lambda: issuing().issue([FQDN], key="p521", validity=LEAF), warning="P-521", openssl=True),
    "good, SHA-384": Trait(
        lambda: issuing().issue([FQDN], signature_hash="sha384", validity=LEAF), openssl=True
    ),
    "good, no extended key usage": Trait(
        lambda: issuing().issue([FQDN], usage="none", validity=LEAF), openssl=True
    ),
    "good wildcard": Trait(lambda: issuing().issue(["*.fleet.test"], validity=LEAF), openssl=True),
    "good address": Trait(
        lambda: issuing().issue(["192.0.2.7"], validity=LEAF), fqdn="192.0.2.7", openssl=True
    ),
    "upper case and a final dot": Trait(
        lambda: issuing().issue(["WWW.Fleet.TEST"], validity=LEAF), fqdn=FQDN + "."
    ),
    "wildcard for a deeper name": Trait(
        lambda: issuing().issue(["*.fleet.test"], validity=LEAF),
        ("name_mismatch",),
        fqdn="a.b.fleet.test",
        openssl=False,
    ),
    "wildcard for the bare domain": Trait(
        lambda: issuing().issue(["*.fleet.test"], validity=LEAF),
        ("name_mismatch",),
        fqdn="fleet.test",
        openssl=False,
    ),
    "wildcard in a part of a label": Trait(
        lambda: issuing().issue(["w*.fleet.test"], validity=LEAF), ("name_mismatch",)
    ),
    "wildcard over a top-level domain": Trait(
        lambda: issuing().issue(["*.test"], validity=LEAF), ("name_mismatch",), fqdn="fleet.test"
    ),
    "mismatch": Trait(
        lambda: issuing().issue(["other.fleet.test"], validity=LEAF), ("name_mismatch",), openssl=False
    ),
    "address as a DNS name": Trait(
        lambda: issuing().issue(["other.fleet.test"], common_name="192.0.2.7", validity=LEAF),
        ("name_mismatch",),
        fqdn="192.0.2.7",
        openssl=False,
    ),
    "common name only": Trait(
        lambda: issuing().issue([], common_name=FQDN, validity=LEAF), ("name_mismatch",)
    ),
    "expired": Trait(lambda: issuing().issue([FQDN], validity=PAST), ("expired",), openssl=False),
    "not yet valid": Trait(
        lambda: issuing().issue([FQDN], validity=FUTURE), ("not_yet_valid",), openssl=False
    ),
    "expired and misnamed": Trait(
        lambda: issuing().issue(["old.fleet.test"], validity=PAST),
        ("name_mismatch", "expired"),
        openssl=False,
    ),
    "expired, misnamed, of an untrusted root": Trait(
        expired_at_a_stranger, ("untrusted_root", "name_mismatch", "expired"), "root", openssl=False
    ),
    "self-signed": Trait(lambda: self_signed([FQDN], validity=LEAF), ("self_signed",), openssl=False),
    "untrusted root, sent": Trait(
        lambda: with_root(under(a := stranger()), a), ("untrusted_root",), "root", openssl=False
    ),
    "untrusted root, left out": Trait(
        lambda: under(stranger().intermediate(validity=LONG)), ("untrusted_root",), openssl=False
    ),
    "incomplete": Trait(lambda: alone(good()), ("incomplete_chain",), openssl=False),
    "expired intermediate": Trait(
        lambda: under(root().intermediate(validity=PAST)), ("expired",), openssl=False
    ),
    "wrong order": Trait(reordered, warning="wrong order", openssl=True),
    "root sent": Trait(lambda: with_root(good(), issuing()), warning="root", openssl=True),
    "stranger sent": Trait(cross_signed, warning="no part of the chain: “Elsewhere”", openssl=True),
    "certificate sent twice": Trait(
        lambda: (i := good()).sending(*i.chain, i.chain[1]), warning="more than once", openssl=True
    ),
    "forged": Trait(forged, ("invalid_chain",), "no part of the chain", openssl=False),
    "RSA 1024": Trait(
        lambda: issuing_rsa().issue([FQDN], key="rsa1024", validity=LEAF), ("weak_key",), openssl=False
    ),
    "RSA 1024 intermediate": Trait(
        lambda: under(root().intermediate(key="rsa1024", validity=LONG)), ("weak_key",), openssl=False
    ),
    "Ed25519": Trait(lambda: issuing().issue([FQDN], key="ed25519", validity=LEAF), ("unsupported_key",)),
    "SHA-1": Trait(
        lambda: issuing_rsa().issue([FQDN], signature_hash="sha1", validity=LEAF),
        ("weak_signature",),
        openssl=False,
    ),
    "long life": Trait(
        lambda: issuing().issue([FQDN], validity=LONG), warning="3651 days; those issued on 2025-06-01"
    ),
    "few days left": Trait(
        lambda: issuing().issue([FQDN], validity=Validity.days(90.5, since=NOW - timedelta(days=86))),
        warning="ends in 4 days",
        openssl=True,
    ),
    "name constraints violated": Trait(
        lambda: under(root().intermediate(permitted_names=["schools.test"], validity=LONG)),
        ("invalid_chain",),
        openssl=False,
    ),
    "name constraints kept": Trait(
        lambda: under(root().intermediate(permitted_names=["fleet.test"], validity=LONG)), openssl=True
    ),
    "path length exceeded": Trait(
        lambda: under(
            root().intermediate(path_length=0, validity=LONG).intermediate(common_name="Below", validity=LONG)
        ),
        ("invalid_chain",),
        openssl=False,
    ),
    "intermediate is no authority": Trait(key_forbids_signing, ("invalid_chain",), openssl=False),
    "for clients only": Trait(
        lambda: issuing().issue([FQDN], usage="client", validity=LEAF), ("invalid_chain",), openssl=False
    ),
    "must-staple without staple": Trait(
        lambda: issuing().issue([FQDN], must_staple=True, validity=LEAF),
        warning="demands a stapled",
        openssl=True,
    ),
    "NUL in a name": Trait(
        lambda: issuing().issue([FQDN, "bank.test\0.fleet.test"], validity=LEAF), ("invalid_chain",)
    ),
    "1,000 names": Trait(
        lambda: issuing().issue([FQDN, *(f"n{n}.fleet.test" for n in range(999))], validity=LEAF),
        warning="1000 names; 500 are listed",
        openssl=True,
    ),
    "underscore under a wildcard": Trait(
        lambda: issuing().issue(["*.fleet.test"], validity=LEAF), fqdn="a_b.fleet.test"
    ),
}


@pytest.mark.parametrize("name", TRAITS)
async def test_a_trait_gets_exactly_its_reasons(name: str) -> None:
    trait = TRAITS[name]
    judgement = await judge(trait.make().chain_der, fqdn=trait.fqdn)
    report, data = judgement.report, judgement.cert_data
    assert tuple(classes(judgement)) == trait.reasons
    assert report.valid is (not trait.reasons)
    assert [trait.warning in warning for warning in report.warnings] == ([True] if trait.warning else [])
    assert data.status_code == STATUS_CODES[trait.reasons[0] if trait.reasons else "valid"]
    assert data.cert_matches_hostname is ("name_mismatch" not in trait.reasons)
    assert all(reason.detail and reason.fix and reason.stage == "certificate" for reason in report.reasons)


@pytest.mark.openssl
@pytest.mark.parametrize("name", [name for name, trait in TRAITS.items() if trait.openssl is not None])
def test_openssl_agrees_with_the_verdict(name: str, tmp_path: Path) -> None:
    """`auth_level 2` is the strength that browsers ask for: 112 bits."""
    trait = TRAITS[name]
    issued = trait.make()
    for file, certificates in (("root", [root().certificate]), ("leaf", [issued.certificate])):
        (tmp_path / file).write_bytes(pem_of(certificates))
    (tmp_path / "sent").write_bytes(pem_of(issued.chain))
    asked = "-verify_ip" if trait.fqdn[0].isdigit() else "-verify_hostname"
    command = (
        f"openssl verify -purpose sslserver -auth_level 2 -attime {NOW.timestamp():.0f} "
        f"-no-CApath -no-CAstore -CAfile root -untrusted sent {asked} {trait.fqdn} leaf"
    )
    answer = subprocess.run(
        command.split(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (answer.returncode == 0) is trait.openssl, answer.stdout + answer.stderr
    assert trait.openssl is (not trait.reasons)


async def test_a_good_chain_is_described_in_full() -> None:
    issued = issuing().issue([FQDN, "192.0.2.7"], validity=LEAF, scts=2)
    report, data = (j := await judge(issued.chain_der)).report, j.cert_data
    assert report.names == [FQDN, "192.0.2.7"]
    assert [c.subject for c in report.chain] == [f"CN={FQDN}", "CN=Test Issuing,O=Glovebox Fleet"]
    leaf = report.chain[0]
    assert (leaf.key_type, leaf.key_bits, leaf.key_curve) == ("ECDSA", 256, "prime256v1")
    assert leaf.signature_algorithm == "ecdsa-with-SHA256"
    assert report.trust_anchor == "CN=Test Root,O=Glovebox Fleet"
    assert (report.days_left, report.scts, report.must_staple) == (80, 2, False)
    assert (report.crl, report.ocsp_staple, report.repaired_by_aia) == ("not_tested", "none", False)
    assert data.serial_number == f"{issued.certificate.serial_number:x}"
    assert (data.not_valid_before, data.not_valid_after) == ("2026-05-22T12:00:00Z", "2026-08-20T12:00:00Z")
    assert data.signature_hash_algorithm == "sha256"
    assert data.subject == {"commonName": FQDN}
    assert data.issuer == {"commonName": "Test Issuing", "organizationName": "Glovebox Fleet"}
    assert (data.status_code, data.status_message) == (0, "The certificate is valid.")


async def test_details_name_what_a_person_must_repair() -> None:
    expired = await judge(issuing().issue([FQDN], validity=PAST).chain_der)
    assert expired.report.reasons[0].detail == "The certificate ended on 2026-05-22T12:00:00Z."
    assert expired.report.days_left == -10
    misnamed = await judge(issuing().issue(["a.test", "b.test"], validity=LEAF).chain_der)
    assert misnamed.cert_data.status_message == f"The certificate is for a.test, b.test, not for {FQDN}."
    lone = await judge(alone(good()).chain_der)
    assert "CN=Test Issuing" in lone.report.reasons[0].detail
    old = await judge(under(root().intermediate(common_name="Old One", validity=PAST)).chain_der)
    assert old.report.reasons[0].detail.startswith("The authority's certificate “Old One” ended")


async def test_a_fetched_intermediate_repairs_the_chain_and_is_still_reported() -> None:
    issued = alone(issuing().issue([FQDN], validity=LEAF, aia_url=AIA))
    published = Published({AIA: issuing().der})
    judgement = await judge(issued.chain_der, published=published)
    assert classes(judgement) == ["incomplete_chain"]
    assert judgement.report.valid
    assert judgement.report.repaired_by_aia
    assert judgement.report.trust_anchor == "CN=Test Root,O=Glovebox Fleet"
    assert judgement.cert_data.status_code == STATUS_CODES["incomplete_chain"]


@pytest.mark.parametrize("body", [None, b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n"])
async def test_a_useless_answer_repairs_nothing_and_is_noted(body: bytes | None) -> None:
    issued = alone(issuing().issue([FQDN], validity=LEAF, aia_url=AIA))
    judgement = await judge(issued.chain_der, published=Published({} if body is None else {AIA: body}))
    assert classes(judgement) == ["incomplete_chain"]
    assert not judgement.report.valid
    assert not judgement.report.repaired_by_aia
    assert [w for w in judgement.report.warnings if AIA in w] == judgement.report.warnings != []


async def test_two_missing_intermediates_are_fetched_one_after_the_other() -> None:
    policy = root().intermediate(common_name="Policy", validity=LONG)
    below = policy.intermediate(common_name="Below", validity=LONG, aia_url="http://pki.test/policy")
    issued = alone(below.issue([FQDN], validity=LEAF, aia_url=AIA))
    judgement = await judge(
        issued.chain_der, published=Published({AIA: below.der, "http://pki.test/policy": policy.der})
    )
    assert (classes(judgement), judgement.report.valid) == (["incomplete_chain"], True)


async def test_a_chain_that_lacks_only_its_untrusted_root_is_not_called_incomplete() -> None:
    """Servers rightly leave the root out, also when the authority publishes it."""
    own = stranger()
    issued = under(own.intermediate(common_name="Own CA", validity=LONG, aia_url=AIA))
    judgement = await judge(issued.chain_der, published=Published({AIA: own.der}))
    assert classes(judgement) == ["untrusted_root"]
    assert not judgement.report.repaired_by_aia


async def test_a_self_signed_certificate_that_is_trusted_is_valid() -> None:
    issued = self_signed([FQDN], validity=LEAF)
    own = TrustStore(pem_of([issued.certificate]).decode())
    assert (await judge(issued.chain_der, store=own)).report.valid


async def test_a_public_certificate_without_timestamps_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(pem_of([root().certificate]))
    public = TrustStore(public_roots=tmp_path / "roots.pem")
    assert "0 certificate timestamps" in (await judge(good().chain_der, store=public)).report.warnings[0]
    two = issuing().issue([FQDN], validity=LEAF, scts=2)
    assert (await judge(two.chain_der, store=public)).report.warnings == []


def test_the_trust_store_holds_every_public_root() -> None:
    store = TrustStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of them has the serial number 0
        roots = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    assert len(roots) > 100
    assert all(root in store.anchors(root.subject.public_bytes()) for root in roots)


def test_extra_roots_that_are_no_pem_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not PEM"):
        TrustStore("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("trait", fleet.TRAITS, ids=lambda trait: trait.name)
async def test_the_fleet_s_certificates_get_what_the_fleet_expects(trait: FleetTrait) -> None:
    identities = Identities(http_port=80)
    assert isinstance(trait.https, Tls)
    fqdn = f"{trait.name}.{DOMAIN}"
    issued = trait.https.identity(identities, fqdn)
    published = Published({identities.url(path): body for path, body in identities.publications().items()})
    judgement = await judge(
        issued.chain_der,
        fqdn=fqdn,
        published=published,
        store=TrustStore(pem_of([identities.root.certificate]).decode()),
        now=datetime.now(UTC),
    )
    found = classes(judgement)
    assert frozenset(found) == trait.expects.reasons
    assert next(iter(found), None) == trait.expects.failure
    assert not trait.expects.warning or any(trait.expects.warning in w for w in judgement.report.warnings)
