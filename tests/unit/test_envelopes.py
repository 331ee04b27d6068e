"""Envelopes: only the task's own key opens one, for its own scan and attempt, and as it was sealed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from glovebox.envelopes import errors
from glovebox.envelopes.credentials import Credentials, decode, encode
from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.envelopes.sealing import (
    ENC_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_MESSAGE,
    MLKEM_KEY_BYTES,
    KeyPair,
    PublicKey,
    claim_digest,
    seal,
)
from glovebox.errors import RefusedError
from glovebox.tickets.proxy import ProxyTicket
from tests.envelopes import ACCOUNT, OTHER_ACCOUNT, OTHER_SCAN, SCAN, SECRET, TOKEN, credentials, ticket
from tests.tickets import SITE_TICKET

MESSAGE = b"what nobody else may read"


def sealed(pair: KeyPair, message: bytes = MESSAGE, attempt: int = 1) -> bytes:
    return seal(pair.public, message, scan_id=SCAN, attempt=attempt)


def opened(pair: KeyPair, envelope: bytes) -> bytes:
    return pair.open(envelope, scan_id=SCAN, attempt=1)


@given(st.binary(max_size=300))
@settings(max_examples=25, deadline=None)
def test_what_is_sealed_to_a_claim_is_opened_by_its_maker(message: bytes) -> None:
    pair = KeyPair()
    key = PublicKey.of_claim(pair.public.claim())
    assert opened(pair, seal(key, message, scan_id=SCAN, attempt=1)) == message


def test_a_claim_has_one_length_and_the_longest_message_one_that_fits() -> None:
    pair = KeyPair()
    assert len(pair.public.claim()) == CLAIM_BYTES
    envelope = sealed(pair, b"m" * MAX_MESSAGE)
    assert len(envelope) <= MAX_ENVELOPE_BYTES
    assert opened(pair, envelope) == b"m" * MAX_MESSAGE
    with pytest.raises(errors.MessageTooLongError):
        sealed(pair, b"m" * (MAX_MESSAGE + 1))


def test_one_message_sealed_twice_shows_nothing_alike() -> None:
    pair = KeyPair()
    first, second = (json.loads(sealed(pair)) for _ in range(2))
    assert first["enc"] != second["enc"]
    assert first["ciphertext"] != second["ciphertext"]


@pytest.mark.parametrize(("scan", "attempt"), [(OTHER_SCAN, 1), (SCAN, 2), (SCAN + "1", 1), ("", 1)])
def test_an_envelope_of_another_scan_or_attempt_stays_shut(scan: str, attempt: int) -> None:
    pair = KeyPair()
    with pytest.raises(errors.ForeignEnvelopeError):
        pair.open(sealed(pair), scan_id=scan, attempt=attempt)
    assert opened(pair, sealed(pair)) == MESSAGE


def test_another_key_opens_nothing() -> None:
    with pytest.raises(errors.ForeignEnvelopeError):
        opened(KeyPair(), sealed(KeyPair()))


def test_a_key_opens_one_envelope_and_is_forgotten() -> None:
    pair = KeyPair()
    envelope = sealed(pair)
    assert opened(pair, envelope) == MESSAGE
    with pytest.raises(errors.KeyUsedError):
        opened(pair, envelope)


def test_every_changed_bit_keeps_an_envelope_shut() -> None:
    pair = KeyPair()
    envelope = json.loads(sealed(pair))
    for member in ("enc", "ciphertext"):
        data = base64.b64decode(envelope[member])
        for index in range(len(data)):
            changed = bytearray(data)
            changed[index] ^= 1 << index % 8
            text = base64.b64encode(changed).decode()
            with pytest.raises(errors.ForeignEnvelopeError):
                opened(pair, json.dumps({**envelope, member: text}, separators=(",", ":")).encode())


def test_a_cut_envelope_is_none() -> None:
    pair = KeyPair()
    envelope = sealed(pair)
    for length in range(0, len(envelope), 7):
        with pytest.raises(errors.MalformedEnvelopeError):
            opened(pair, envelope[:length])


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_changed_byte_of_the_json_gives_the_message(data: st.DataObject) -> None:
    pair = KeyPair()
    envelope = bytearray(sealed(pair))
    index = data.draw(st.integers(0, len(envelope) - 1))
    envelope[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises((errors.MalformedEnvelopeError, errors.ForeignEnvelopeError)):
        opened(pair, bytes(envelope))


def respelled(text: bytes) -> dict[str, bytes]:
    found = json.loads(text)
    compact = json.dumps(found, separators=(",", ":")).encode()
    assert compact == text
    return {
        "blanks": json.dumps(found).encode(),
        "line break": text + b"\n",
        "other order": json.dumps(dict(reversed(found.items())), separators=(",", ":")).encode(),
        "twice": b'{"v":1,' + text[1:],
        "unknown member": json.dumps({**found, "more": 1}, separators=(",", ":")).encode(),
        "version 2": json.dumps({**found, "v": 2}, separators=(",", ":")).encode(),
        "no base64": text.replace(b'"}', b'*"}'),
        "deep": b"[" * 50_000,
        "no UTF-8": b'{"v":"\xff"}',
        "empty": b"",
        "too long": b" " * (MAX_ENVELOPE_BYTES + 1),
    }


@pytest.mark.parametrize("how", respelled(b'{"v":1}'))
def test_claims_and_envelopes_have_one_spelling(how: str) -> None:
    pair = KeyPair()
    with pytest.raises(errors.MalformedClaimError):
        PublicKey.of_claim(respelled(pair.public.claim())[how])
    with pytest.raises(errors.MalformedEnvelopeError):
        opened(pair, respelled(sealed(pair))[how])


def test_keys_with_which_nothing_can_be_agreed_on_are_no_claims() -> None:
    raw = KeyPair().public.raw
    no_point = PublicKey(b"\xff" * MLKEM_KEY_BYTES + raw[MLKEM_KEY_BYTES:])
    with pytest.raises(errors.MalformedClaimError):
        PublicKey.of_claim(no_point.claim())
    small_order = PublicKey(raw[:MLKEM_KEY_BYTES] + bytes(32))
    with pytest.raises(errors.MalformedClaimError):
        seal(small_order, MESSAGE, scan_id=SCAN, attempt=1)


def test_claims_are_told_apart_by_their_bytes() -> None:
    claim = KeyPair().public.claim()
    assert claim_digest(claim) == claim_digest(bytes(bytearray(claim)))
    assert claim_digest(claim) != claim_digest(KeyPair().public.claim())


def test_every_refusal_says_what_to_do_under_one_root() -> None:
    for kind in errors.EnvelopeError.__subclasses__():
        assert issubclass(kind, RefusedError)
        assert kind().reason
        assert kind().fix
    words = {kind.word for kind in errors.EnvelopeError.__subclasses__()}
    assert len(words) == len(errors.EnvelopeError.__subclasses__())


# ---------------------------------------------------------------- RFC 9180, written once more


def by_the_book(
    mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey, sealed_bytes: bytes, info: bytes
) -> bytes:
    """RFC 9180, 5.1 and 5.2 in base mode, over X-Wing's combiner (draft-connolly-cfrg-xwing-kem, 5.3)."""
    enc, ciphertext = sealed_bytes[:ENC_BYTES], sealed_bytes[ENC_BYTES:]
    theirs = enc[1_088:]
    secret_m = mlkem.decapsulate(enc[:1_088])
    secret_x = x25519.exchange(X25519PublicKey.from_public_bytes(theirs))
    ours = x25519.public_key().public_bytes_raw()
    shared = hashlib.sha3_256(secret_m + secret_x + theirs + ours + rb"\.//^" + b"\\").digest()

    suite = b"HPKE" + bytes.fromhex("647a" + "0001" + "0002")

    def extract(salt: bytes, label: bytes, material: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")

    def expand(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(key, labelled + b"\x01", "sha256")[:length]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def test_an_envelope_is_hpke_as_the_standards_say_with_scan_and_attempt_in_info() -> None:
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    envelope = json.loads(seal(PublicKey(raw), MESSAGE, scan_id=SCAN, attempt=2))
    data = base64.b64decode(envelope["enc"]) + base64.b64decode(envelope["ciphertext"])
    info = f'["glovebox envelope v1","{SCAN}",2]'.encode()
    assert by_the_book(mlkem, x25519, data, info) == MESSAGE


# ---------------------------------------------------------------- credentials


def test_credentials_come_out_as_they_went_in() -> None:
    assert decode(encode(credentials()), scan_id=SCAN, account=ACCOUNT) == credentials()


def test_nothing_that_shows_credentials_shows_what_opens_anything() -> None:
    made = credentials()
    shown = io.StringIO()
    Console(file=shown, width=500).print(made, [made], {"a": made})
    for text in (repr(made), str(made), f"{made}", repr([made]), shown.getvalue()):
        assert ACCOUNT in text
        for secret in (SECRET, TOKEN, made.ticket.password):
            assert secret not in text


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(encode(credentials())), **members}).encode()


NOT_OURS = {
    "line break in the secret": changed(secretAccessKey="s" * 20 + "\n[profile x]"),
    "blank in the token": changed(sessionToken="t" * 20 + " t"),
    "no regions": changed(regions=[]),
    "a region with a quote": changed(regions=["eu-west-1'"]),
    "a gateway with a name": changed(gateway="evil.example:3128"),
    "unknown member": changed(more="x"),
    "another account": encode(credentials(account=OTHER_ACCOUNT)),
    "a ticket of another account": encode(credentials(ticket=ticket(account=OTHER_ACCOUNT))),
    "a ticket of another scan": encode(credentials(ticket=ticket(scan=OTHER_SCAN))),
    "a ticket of another key": encode(credentials(ticket=ticket(key="ASIA" + "B" * 16))),
    "a ticket for sites": encode(credentials(ticket=SITE_TICKET)),
    "a ticket that outlives them": encode(credentials(expires=credentials().expires - 1)),
    "a cut ticket": encode(credentials(ticket=ProxyTicket(ticket().user, ticket().password[:-4]))),
    "no ticket": encode(credentials(ticket=ProxyTicket("x", "y"))),
    "no JSON": SECRET.encode(),
}


@pytest.mark.parametrize("how", NOT_OURS)
def test_what_is_no_set_of_credentials_for_this_scan_is_refused_and_not_quoted(how: str) -> None:
    with pytest.raises(errors.MalformedCredentialsError) as refusal:
        decode(NOT_OURS[how], scan_id=SCAN, account=ACCOUNT)
    assert refusal.value.__cause__ is None
    for secret in (SECRET, TOKEN, "evil", ticket().password):
        assert secret not in str(refusal.value)


def test_credentials_have_no_field_that_is_not_looked_at_here() -> None:
    assert set(Credentials.__struct_fields__) == {
        *("access_key_id", "secret_access_key", "session_token", "expires"),
        *("account", "regions", "ticket", "gateway"),
    }
