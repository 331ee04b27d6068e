"""The fleet's authorities, and what each kind of certificate needs.

Good sites get a P-256 certificate from an intermediate under the fleet's root.  Everything is
made afresh at each start, which takes a fraction of a second as RSA is used only where a host
is about RSA.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509

from glovebox.farm.authority import Authority, Issued, KeyKind, Validity, self_signed
from glovebox.farm.model import DOMAIN, Identity

PKI_HOST = f"pki.{DOMAIN}"
"""Where the fleet's authority publishes its certificate and its revocation list."""
CRL_PATH = "/issuing.crl"
AIA_PATH = "/issuing.der"


class Identities:
    """The authorities of one fleet; `http_port` is where its publications are served."""

    def __init__(self, http_port: int) -> None:
        self._http_port = http_port
        self._revoked: list[x509.Certificate] = []
        self.root = Authority.create(common_name="Fleet Root X1")

    @cached_property
    def issuing(self) -> Authority:
        return self.root.intermediate(common_name="Fleet Issuing E1", path_length=0)

    @cached_property
    def issuing_rsa(self) -> Authority:
        """Signs with RSA, as authorities for old clients do."""
        return self.root.intermediate(common_name="Fleet Issuing R1", key="rsa2048", path_length=0)

    @cached_property
    def stranger(self) -> Authority:
        """An authority that nobody trusts."""
        root = Authority.create(common_name="Somebody's Own Root", organization="Nobody in Particular")
        return root.intermediate(common_name="Somebody's Own CA", organization="Nobody in Particular")

    def url(self, path: str) -> str:
        return f"http://{PKI_HOST}:{self._http_port}{path}"

    def revoke(self, issued: Issued) -> Issued:
        """The same, on the next revocation list."""
        self._revoked.append(issued.certificate)
        return issued

    def publications(self) -> dict[str, bytes]:
        """What the authority serves, by path, once every certificate is issued."""
        return {CRL_PATH: self.issuing.crl(self._revoked), AIA_PATH: self.issuing.der}


def good(identities: Identities, host: str) -> Issued:
    """What a site should have."""
    return identities.issuing.issue([host], crl_url=identities.url(CRL_PATH), scts=2)


def of_key(kind: KeyKind) -> Identity:
    """A good certificate of another key."""

    def make(identities: Identities, host: str) -> Issued:
        authority = identities.issuing_rsa if kind.startswith("rsa") else identities.issuing
        return authority.issue([host], key=kind, scts=2)

    return make


def named(*names: str) -> Identity:
    """A good certificate of other names than the host's."""
    return lambda identities, _: identities.issuing.issue(names, scts=2)


def expired(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], validity=_past())


def not_yet_valid(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], validity=Validity.days(90, since=_now() + timedelta(days=30)))


def long_lived(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], validity=Validity.days(1_000))


def expiring(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], not_after=_now() + timedelta(days=3, hours=12))


def expired_and_misnamed(identities: Identities, _: str) -> Issued:
    return identities.issuing.issue([f"old.{DOMAIN}"], validity=_past())


def self_issued(_: Identities, host: str) -> Issued:
    return self_signed([host])


def untrusted(identities: Identities, host: str) -> Issued:
    return identities.stranger.issue([host])


def incomplete(identities: Identities, host: str) -> Issued:
    issued = identities.issuing.issue([host])
    return issued.sending(issued.certificate)


def incomplete_with_aia(identities: Identities, host: str) -> Issued:
    issued = identities.issuing.issue([host], aia_url=identities.url(AIA_PATH))
    return issued.sending(issued.certificate)


def wrong_order(identities: Identities, host: str) -> Issued:
    authority = identities.issuing_rsa
    issued = (
        identities.root.intermediate(common_name="Fleet Policy CA")
        .intermediate(common_name="Fleet Issuing E2")
        .issue([host])
    )
    leaf, near, far = issued.chain
    return issued.sending(leaf, far, authority.certificate, near)


def with_root(identities: Identities, host: str) -> Issued:
    issued = good(identities, host)
    return issued.sending(*issued.chain, identities.root.certificate)


def big_chain(identities: Identities, host: str) -> Issued:
    """Twelve strangers after the real chain: a flight of many packets."""
    issued = good(identities, host)
    extra = (Authority.create(common_name=f"Leftover Root {number}").certificate for number in range(12))
    return issued.sending(*issued.chain, *extra)


def expired_intermediate(identities: Identities, host: str) -> Issued:
    authority = identities.root.intermediate(common_name="Fleet Issuing E0", validity=_past())
    return authority.issue([host])


def signed_by_leaf(identities: Identities, host: str) -> Issued:
    return identities.root.intermediate(common_name="Not an Authority", ca=False).issue([host])


def outside_constraint(identities: Identities, host: str) -> Issued:
    authority = identities.root.intermediate(common_name="Fleet Schools CA", permitted_names=["schools.test"])
    return authority.issue([host])


def for_clients_only(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], usage="client")


def sha1_signed(identities: Identities, host: str) -> Issued:
    return identities.issuing_rsa.issue([host], key="rsa2048", signature_hash="sha1")


def must_staple(identities: Identities, host: str) -> Issued:
    return identities.issuing.issue([host], must_staple=True)


def revoked(identities: Identities, host: str) -> Issued:
    return identities.revoke(replace(good(identities, host)))


def _now() -> datetime:
    return datetime.now(UTC)


def _past() -> Validity:
    return Validity.days(90, since=_now() - timedelta(days=100))
