"""Tickets: what is signed is believed as it stands, and nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import ConfigurationError
from glovebox.tickets import errors
from glovebox.tickets.claims import (
    MAX_ACCOUNT_LIFETIME,
    MAX_SITE_LIFETIME,
    MAX_SKEW,
    MAX_USER,
    decode,
    encode,
    to_base64url,
)
from glovebox.tickets.keys import MAX_KEYS, KeySet, key_id
from glovebox.tickets.proxy import ProxyTicket, proxy_authorization
from glovebox.tickets.signer import Signer
from tests.tickets import (
    ACCOUNT_TICKET,
    KEYS,
    NOW,
    OTHER_SIGNER,
    SCAN,
    SIGNER,
    SITE_TICKET,
    account_claims,
    site_claims,
)

USER, PASSWORD = ACCOUNT_TICKET.user, ACCOUNT_TICKET.password
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def resigned(data: bytes) -> tuple[str, str]:
    """`data` as claims, signed with the right key: for what only the claims' own rules can refuse."""
    user = to_base64url(data)
    return user, to_base64url(PRIVATE.sign(user.encode()))


def claims_json(**changes: object) -> bytes:
    data = json.loads(base64.urlsafe_b64decode(USER + "=" * (-len(USER) % 4)))
    return json.dumps({**data, **changes}, separators=(",", ":")).encode()


def test_what_was_signed_is_verified_for_both_profiles() -> None:
    for ticket, claims in ((ACCOUNT_TICKET, account_claims()), (SITE_TICKET, site_claims())):
        verified = KEYS.verify(ticket.user, ticket.password, NOW)
        assert (verified.scan, verified.kid) == (SCAN, key_id(SIGNER.public_key))
        assert {**as_dict(verified), "kid": ""} == as_dict(claims)


def as_dict(claims: object) -> dict[str, object]:
    return {name: getattr(claims, name) for name in claims.__struct_fields__}  # type: ignore[attr-defined]  # msgspec


def test_the_text_of_a_ticket_is_the_documented_one() -> None:
    data = base64.urlsafe_b64decode(SITE_TICKET.user + "=" * (-len(SITE_TICKET.user) % 4))
    assert data == (
        b'{"profile":"site","v":1,"kid":"%s","scan":"%s","iat":1760000000,"nbf":1760000000,"exp":1760000900,'
        b'"host":"www.example.com","addresses":["93.184.216.34","2606:2800:220:1::1"],"ports":[80,443]}'
        % (SIGNER.kid.encode(), SCAN.encode())
    )
    PRIVATE.public_key().verify(
        base64.urlsafe_b64decode(SITE_TICKET.password + "=="), SITE_TICKET.user.encode("ascii")
    )


ATTACKS: dict[str, tuple[str, str, type[errors.TicketError]]] = {
    "empty": ("", "", errors.MalformedTicketError),
    "no password": (USER, "", errors.MalformedTicketError),
    "user cut by one": (USER[:-1], PASSWORD, errors.MalformedTicketError),
    "user cut in half": (USER[: len(USER) // 2], PASSWORD, errors.MalformedTicketError),
    "password cut": (USER, PASSWORD[:-1], errors.MalformedTicketError),
    "password cut to whole bytes": (USER, PASSWORD[:-2], errors.MalformedTicketError),
    "user padded": (USER + "=", PASSWORD, errors.MalformedTicketError),
    "password padded": (USER, PASSWORD + "==", errors.TooLongTicketError),
    "user with a newline": (USER + "\n", PASSWORD, errors.MalformedTicketError),
    "stray bits in the password": (
        USER,
        PASSWORD[:-1] + _B64[_B64.index(PASSWORD[-1]) + 1],
        errors.MalformedTicketError,
    ),
    "standard alphabet": (USER[:-1] + "+", PASSWORD, errors.MalformedTicketError),
    "percent-escaped": ("%" + USER[1:], PASSWORD, errors.MalformedTicketError),
    "not ASCII": ("é" + USER[1:], PASSWORD, errors.MalformedTicketError),
    "doubled": (USER + USER, PASSWORD, errors.MalformedTicketError),
    "password doubled": (USER, PASSWORD + PASSWORD, errors.TooLongTicketError),
    "16 KB": ("A" * 16_384, PASSWORD, errors.TooLongTicketError),
    "16 KB of password": (USER, "A" * 16_384, errors.TooLongTicketError),
    "one character too long": ("A" * (MAX_USER + 1), PASSWORD, errors.TooLongTicketError),
    "another scan's claims": (SITE_TICKET.user, PASSWORD, errors.BadSignatureError),
    "changed key": (
        resigned(claims_json(key="AKIAI44QH8DHBEXAMPLE"))[0],
        PASSWORD,
        errors.BadSignatureError,
    ),
    "zero signature": (USER, "A" * 86, errors.BadSignatureError),
    "signed by a stranger": (
        OTHER_SIGNER.sign(account_claims()).user,
        OTHER_SIGNER.sign(account_claims()).password,
        errors.UnknownKeyError,
    ),
    "a stranger's signature under our key's name": (
        USER,
        OTHER_SIGNER.sign(account_claims()).password,
        errors.BadSignatureError,
    ),
    # From here on the signature is right, and the claims are not.
    "not JSON": (*resigned(b"{"), errors.MalformedTicketError),
    "not UTF-8": (*resigned(claims_json().replace(b"examined", b"\xff\xfe")), errors.MalformedTicketError),
    "deeply nested": (*resigned(b"[" * 1_000), errors.MalformedTicketError),
    "no claims": (*resigned(b"{}"), errors.MalformedTicketError),
    "a list": (*resigned(b"[]"), errors.MalformedTicketError),
    "blank between": (*resigned(claims_json().replace(b",", b", ", 1)), errors.MalformedTicketError),
    "blank behind": (*resigned(claims_json() + b" "), errors.MalformedTicketError),
    "two documents": (*resigned(claims_json() * 2), errors.MalformedTicketError),
    "member repeated": (
        *resigned(claims_json().replace(b'"v":1', b'"v":1,"v":1')),
        errors.MalformedTicketError,
    ),
    "member unknown": (*resigned(claims_json(admin=True)), errors.MalformedTicketError),
    "member missing": (*resigned(claims_json().replace(b'"v":1,', b"")), errors.MalformedTicketError),
    "escaped letter": (
        *resigned(claims_json().replace(b"examined", b"\\u0065xamined")),
        errors.MalformedTicketError,
    ),
    "number as float": (*resigned(claims_json(exp=float(NOW + 900))), errors.MalformedTicketError),
    "number as text": (*resigned(claims_json(exp=str(NOW + 900))), errors.MalformedTicketError),
    "negative time": (*resigned(claims_json(iat=-1)), errors.MalformedTicketError),
    "other version": (*resigned(claims_json(v=2)), errors.MalformedTicketError),
    "other profile": (*resigned(claims_json(profile="root")), errors.MalformedTicketError),
    "profile of the other claims": (*resigned(claims_json(profile="site")), errors.MalformedTicketError),
    "scan with a newline": (*resigned(claims_json(scan="a\nb")), errors.MalformedTicketError),
    "scan that ends in a newline": (*resigned(claims_json(scan="a\n")), errors.MalformedTicketError),
    "buckets of all accounts": (*resigned(claims_json(buckets="*")), errors.MalformedTicketError),
    "buckets by another word": (*resigned(claims_json(buckets="Account")), errors.MalformedTicketError),
    "buckets of nobody": (*resigned(claims_json(buckets=None)), errors.MalformedTicketError),
    "bucket with a slash": (*resigned(claims_json(buckets=["a/b"])), errors.MalformedTicketError),
    "bucket twice": (*resigned(claims_json(buckets=["abc", "abc"])), errors.MalformedTicketError),
    "times in no order": (*resigned(claims_json(nbf=NOW - 1)), errors.MalformedTicketError),
    "valid for never": (*resigned(claims_json(exp=NOW)), errors.MalformedTicketError),
    "valid for too long": (
        *resigned(claims_json(exp=NOW + MAX_ACCOUNT_LIFETIME + 1)),
        errors.LifetimeTooLongError,
    ),
    "from the future": (
        *resigned(claims_json(iat=NOW + 31, nbf=NOW + 31)),
        errors.NotYetValidError,
    ),
    "expired": (
        *resigned(claims_json(iat=NOW - 900, nbf=NOW - 900, exp=NOW - MAX_SKEW)),
        errors.ExpiredTicketError,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_its_class_and_quotes_nothing(name: str) -> None:
    user, password, expected = ATTACKS[name]
    with pytest.raises(errors.TicketError) as refused:
        KEYS.verify(user, password, NOW)
    assert type(refused.value) is expected
    assert refused.value.fix
    assert not (len(user) > 20 and user[:20] in str(refused.value))


@pytest.mark.parametrize(
    "changes",
    [
        {"addresses": ["093.184.216.34"]},
        {"addresses": ["2606:2800:0220:1::1"]},
        {"addresses": ["2606:2800:220:1::A"]},
        {"addresses": ["::ffff:93.184.216.34"]},
        {"addresses": ["fe80::1%eth0"]},
        {"addresses": ["www.example.com"]},
        {"addresses": []},
        {"addresses": [f"93.184.216.{each}" for each in range(17)]},
        {"addresses": ["93.184.216.34", "93.184.216.34"]},
        {"ports": []},
        {"ports": [0]},
        {"ports": [65_536]},
        {"ports": [443, 443]},
        {"host": "WWW.example.com"},
        {"host": "www.example.com."},
        {"host": "-www.example.com"},
        {"host": "a" * 64 + ".example"},
        {"host": "www.example.com\n"},
        {"host": ""},
    ],
    ids=str,
)
def test_a_site_ticket_with_such_claims_is_not_issued(changes: dict[str, object]) -> None:
    with pytest.raises(errors.MalformedTicketError):
        SIGNER.sign(site_claims(**changes))


@pytest.mark.parametrize(
    ("make", "longest"), [(account_claims, MAX_ACCOUNT_LIFETIME), (site_claims, MAX_SITE_LIFETIME)]
)
def test_a_ticket_lives_for_its_profile_and_no_longer(make: Callable[..., object], longest: int) -> None:
    SIGNER.sign(make(exp=NOW + longest))  # type: ignore[type-var]  # one of the two claims
    with pytest.raises(errors.LifetimeTooLongError):
        SIGNER.sign(make(exp=NOW + longest + 1))  # type: ignore[type-var]  # one of the two claims


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-MAX_SKEW - 1, errors.NotYetValidError),
        (-MAX_SKEW, None),
        (0, None),
        (900, None),
        (900 + MAX_SKEW - 1, None),
        (900 + MAX_SKEW, errors.ExpiredTicketError),
    ],
)
def test_clocks_may_differ_by_the_skew_and_no_more(
    offset: int, expected: type[errors.TicketError] | None
) -> None:
    if expected is None:
        KEYS.verify(USER, PASSWORD, NOW + offset)
    else:
        with pytest.raises(expected):
            KEYS.verify(USER, PASSWORD, NOW + offset)


def test_more_buckets_than_fit_are_refused_when_signing() -> None:
    with pytest.raises(errors.TooLongTicketError):
        SIGNER.sign(
            account_claims(buckets=[f"a-bucket-with-quite-a-long-name-{each:04d}" for each in range(40)])
        )


@given(st.data())
def test_no_changed_character_is_accepted(data: st.DataObject) -> None:
    whole = f"{USER}:{PASSWORD}"
    at = data.draw(st.integers(0, len(whole) - 1))
    character = data.draw(st.characters(codec="utf-8").filter(lambda other: other != whole[at]))
    user, _, password = (whole[:at] + character + whole[at + 1 :]).partition(":")
    with pytest.raises(errors.TicketError):
        KEYS.verify(user, password, NOW)


@given(st.data())
def test_no_piece_cut_out_or_put_in_is_accepted(data: st.DataObject) -> None:
    whole = f"{USER}:{PASSWORD}"
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    piece = data.draw(st.text(alphabet=_B64 + ":=.%+/ \x00", max_size=8))
    changed = whole[:start] + piece + whole[end:]
    if changed == whole:
        return
    user, _, password = changed.partition(":")
    with pytest.raises(errors.TicketError):
        KEYS.verify(user, password, NOW)


@given(st.text(max_size=2_000), st.text(max_size=200), st.floats(allow_nan=False))
def test_made_up_tickets_are_refused_and_break_nothing(user: str, password: str, now: float) -> None:
    with pytest.raises(errors.TicketError):
        KEYS.verify(user, password, now)


@given(st.binary(max_size=1_100))
def test_whatever_is_decoded_is_written_again_in_the_same_way(data: bytes) -> None:
    user = to_base64url(data)
    try:
        claims = decode(user)
    except errors.TicketError:
        return
    assert encode(claims) == user


# Keys


def test_two_keys_overlap_while_one_replaces_the_other() -> None:
    both = KeySet.of([SIGNER.public_key, OTHER_SIGNER.public_key])
    new = OTHER_SIGNER.sign(account_claims())
    assert both.verify(USER, PASSWORD, NOW).kid == SIGNER.kid
    assert both.verify(new.user, new.password, NOW).kid == OTHER_SIGNER.kid
    only_new = KeySet.of([OTHER_SIGNER.public_key])
    assert only_new.verify(new.user, new.password, NOW).kid == OTHER_SIGNER.kid
    with pytest.raises(errors.UnknownKeyError):
        only_new.verify(USER, PASSWORD, NOW)


def test_a_keys_file_reads_back_and_may_hold_comments() -> None:
    both = KeySet.of([SIGNER.public_key, OTHER_SIGNER.public_key])
    read = KeySet.from_pem(b"# current\n" + both.pem() + b"\n# end\n")
    assert list(read.keys) == [SIGNER.kid, OTHER_SIGNER.kid]


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


EC_PUBLIC = (
    generate_ec(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        _pem(PRIVATE),
        KEYS.pem() + _pem(PRIVATE),
        EC_PUBLIC,
        KEYS.pem() * 2,
        KEYS.pem()[:-10],
        KEYS.pem().replace(b"MCow", b"MCox"),
        KEYS.pem() + b"#" * 5_000,
        b"".join(KeySet.of([Ed25519PrivateKey.generate().public_key()]).pem() for _ in range(MAX_KEYS + 1)),
    ],
    ids=["empty", "text", "private", "private too", "other kind", "twice", "cut", "broken", "long", "many"],
)
def test_a_keys_file_of_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        KeySet.from_pem(data)


def test_the_signer_reads_its_own_kind_of_key_only() -> None:
    assert Signer.from_pem(_pem(PRIVATE)).kid == SIGNER.kid
    for other in (b"", KEYS.pem(), EC_PUBLIC):
        with pytest.raises(ConfigurationError):
            Signer.from_pem(other)


# The scanner's side


def test_the_header_is_basic_authentication() -> None:
    kind, _, value = proxy_authorization(ACCOUNT_TICKET).partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(value).decode() == f"{USER}:{PASSWORD}"


@pytest.mark.parametrize("proxy", ["10.1.0.5:3128", "[2001:db8::5]:3129"])
def test_the_environment_of_a_scanner_names_gateway_and_ticket(proxy: str) -> None:
    variables = ACCOUNT_TICKET.environment(proxy)
    assert variables["NO_PROXY"] == ""
    for name in ("HTTPS_PROXY", "https_proxy", "http_proxy"):
        parts = urlsplit(variables[name])
        assert (parts.scheme, parts.username, parts.password) == ("http", USER, PASSWORD)
        assert parts.netloc.rpartition("@")[2] == proxy


def test_a_ticket_does_not_print_its_signature() -> None:
    assert PASSWORD not in repr(ACCOUNT_TICKET)
    assert ProxyTicket(USER, PASSWORD) == ACCOUNT_TICKET
