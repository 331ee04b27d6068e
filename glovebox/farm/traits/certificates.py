"""Hosts whose certificate or chain has one thing about it."""

from __future__ import annotations

from glovebox.farm import identities
from glovebox.farm.model import DOMAIN, Expected, Identity, Tls, Trait
from glovebox.farm.pages import front
from glovebox.farm.traits.common import to_https
from glovebox.farm.web import site


def _certificate(
    name: str,
    shows: str,
    title: str,
    identity: Identity,
    *reasons: str,
    warning: str | None = None,
    valid: bool | None = None,
) -> Trait:
    """An ordinary site whose certificate is not valid for `reasons`, the first of which says most."""
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=Tls(site(front(title)), identity),
        expects=Expected(
            failure=next(iter(reasons), None),
            reasons=frozenset(reasons),
            valid=valid,
            https=True,
            title=title,
            warning=warning,
        ),
    )


TRAITS: tuple[Trait, ...] = (
    _certificate(
        "expired", "A certificate of the year before", "Marlow Bridge Museum", identities.expired, "expired"
    ),
    _certificate(
        "not-yet-valid",
        "A certificate whose first day is next month",
        "Marlow Bridge Theatre",
        identities.not_yet_valid,
        "not_yet_valid",
    ),
    _certificate(
        "mismatch",
        "A certificate of another name",
        "Marlow Bridge Tourist Office",
        identities.named(f"other.{DOMAIN}"),
        "name_mismatch",
    ),
    _certificate(
        "wildcard",
        "A wildcard certificate that fits",
        "Marlow Bridge Registry of Births",
        identities.named(f"*.{DOMAIN}", DOMAIN),
    ),
    _certificate(
        "too.deep.wildcard",
        "A wildcard certificate one label short",
        "Marlow Bridge Registry Annex",
        identities.named(f"*.{DOMAIN}", DOMAIN),
        "name_mismatch",
    ),
    _certificate(
        "self-signed",
        "A certificate that vouches for itself",
        "Marlow Bridge Brewery",
        identities.self_issued,
        "self_signed",
    ),
    _certificate(
        "untrusted-root",
        "An authority of one's own",
        "Marlow Bridge Dairy",
        identities.untrusted,
        "untrusted_root",
    ),
    _certificate(
        "incomplete",
        "The intermediate certificate is not sent",
        "Marlow Bridge Orchestra",
        identities.incomplete,
        "incomplete_chain",
    ),
    _certificate(
        "incomplete-aia",
        "The intermediate is not sent, and the certificate says where it is",
        "Marlow Bridge Choir",
        identities.incomplete_with_aia,
        "incomplete_chain",
        valid=True,  # most browsers fetch it from there
    ),
    _certificate(
        "wrong-order",
        "The chain is out of order and holds a stranger",
        "Marlow Bridge Cricket Club",
        identities.wrong_order,
        warning="order",
    ),
    _certificate(
        "root-sent",
        "The root is sent along",
        "Marlow Bridge Football Club",
        identities.with_root,
        warning="root",
    ),
    _certificate(
        "big-chain", "Twelve needless certificates", "Marlow Bridge Auction House", identities.big_chain
    ),
    _certificate(
        "expired-intermediate",
        "A good certificate under an authority that has expired",
        "Marlow Bridge Savings Bank",
        identities.expired_intermediate,
        "expired",
    ),
    _certificate(
        "signed-by-leaf",
        "Issued by a certificate that is no authority",
        "Marlow Bridge Hardware Store",
        identities.signed_by_leaf,
        "invalid_chain",
    ),
    _certificate(
        "outside-constraint",
        "Issued by an authority for other names",
        "Marlow Bridge Primary School",
        identities.outside_constraint,
        "invalid_chain",
    ),
    _certificate(
        "for-clients-only",
        "A certificate for visitors, not for servers",
        "Marlow Bridge Veterinary Practice",
        identities.for_clients_only,
        "invalid_chain",
    ),
    _certificate(
        "rsa1024",
        "A key that was short in 2010",
        "Marlow Bridge Toy Shop",
        identities.of_key("rsa1024"),
        "weak_key",
    ),
    _certificate(
        "sha1",
        "A SHA-1 signature",
        "Marlow Bridge Photographic Society",
        identities.sha1_signed,
        "weak_signature",
    ),
    _certificate(
        "ed25519",
        "A key that browsers do not take",
        "Marlow Bridge Chess Club",
        identities.of_key("ed25519"),
        "unsupported_key",
    ),
    _certificate(
        "revoked",
        "A certificate on its authority's list",
        "Marlow Bridge Locksmith",
        identities.revoked,
        "revoked",
    ),
    _certificate(
        "long-lived",
        "A certificate for a thousand days",
        "Marlow Bridge Clockmaker",
        identities.long_lived,
        warning="days",
    ),
    _certificate("expiring", "Three days left", "Marlow Bridge Florist", identities.expiring, warning="days"),
    _certificate(
        "must-staple",
        "Promises a staple and sends none",
        "Marlow Bridge Stationer",
        identities.must_staple,
        warning="staple",
    ),
    _certificate(
        "two-reasons",
        "Expired, and of another name",
        "Marlow Bridge Bakery",
        identities.expired_and_misnamed,
        "name_mismatch",
        "expired",
    ),
)
