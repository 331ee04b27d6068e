"""Redeeming: one claim, one set of credentials, for one account, to the key that claimed; or a clear end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from glovebox.envelopes.credentials import Credentials, decode
from glovebox.envelopes.errors import EnvelopeError
from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.envelopes.sealing import MLKEM_KEY_BYTES, KeyPair, PublicKey
from glovebox.errors import ConfigurationError, InputError, RefusedError, UpstreamError
from glovebox.scans.accounts import AccountTarget, claim_key
from glovebox.scans.model import ScanState, handoff_key
from glovebox.scans.state import Scan, finished
from glovebox.services.claim_addresses import claim_addresses
from glovebox.services.redeem import SESSION_POLICY_CHARACTERS, WAITS
from glovebox.tickets.claims import AwsApiClaims
from glovebox.tickets.claims import decode as decode_claims
from tests.brokering import SCANNING_ACCOUNT, Broker, event, settings
from tests.envelopes import ACCOUNT, GATEWAY, OTHER_ACCOUNT, OTHER_SCAN, SCAN
from tests.fakes import FakeClaims, FakeHandOff
from tests.tickets import KEYS

NO_TRY_HELPS = [UpstreamError("Throttling", fix="wait")] * (len(WAITS) + 1)


def scan_of(broker: Broker, scan_id: str = SCAN) -> Scan:
    return broker.store.scan(scan_id)


def credentials_of(
    broker: Broker, pair: KeyPair, scan_id: str = SCAN, attempt: int = 1, account: str = ACCOUNT
) -> Credentials:
    envelope = broker.envelopes.objects[handoff_key(scan_id, attempt, "envelope.json")]
    return decode(pair.open(envelope, scan_id=scan_id, attempt=attempt), scan_id=scan_id, account=account)


def messages(text: str) -> list[str]:
    return [json.loads(line)["message"] for line in text.splitlines()]


def test_a_claim_gets_an_hours_credentials_sealed_to_its_key() -> None:
    broker, pair = Broker(), KeyPair()
    broker.claim(pair.public.claim())
    found = credentials_of(broker, pair)
    (keys,) = broker.sessions.given
    assert (found.access_key_id, found.secret_access_key) == (keys.access_key_id, keys.secret_access_key)
    assert (found.account, found.regions) == (ACCOUNT, ["eu-west-1", "us-east-1"])
    assert found.gateway == GATEWAY
    assert scan_of(broker).claimed_at == "2026-03-04T05:06:07Z"
    assert scan_of(broker).state is ScanState.LAUNCHING


def test_the_session_is_of_one_account_for_one_scan_until_the_deadline() -> None:
    broker = Broker()
    broker.claim(KeyPair().public.claim())
    (order,) = broker.sessions.orders
    assert order.role_arn == f"arn:aws:iam::{ACCOUNT}:role/GloveboxAudit"
    assert (order.source_identity, order.name) == (SCAN, f"{SCAN}-1")
    assert order.external_id == "external-id-of-sixteen"
    assert json.loads(order.policy)["Id"] == ACCOUNT
    assert order.managed_policies == ("arn:aws:iam::aws:policy/SecurityAudit",)
    assert order.seconds == 1_800


def test_an_account_with_an_external_id_of_its_own_is_asked_with_that() -> None:
    broker = Broker()
    broker.change(external_id="another-external-id")
    broker.claim(KeyPair().public.claim())
    assert broker.sessions.orders[0].external_id == "another-external-id"


@pytest.mark.parametrize(
    ("left", "seconds"), [(1, 900), (900, 900), (901, 901), (3_600, 3_600), (9_999, 3_600)]
)
def test_a_session_lasts_as_long_as_the_attempt_within_what_aws_gives(left: int, seconds: int) -> None:
    broker = Broker()
    broker.change(deadline=int(broker.clock().timestamp()) + left)
    pair = KeyPair()
    broker.claim(pair.public.claim())
    assert broker.sessions.orders[0].seconds == seconds
    claims = decode_claims(credentials_of(broker, pair).ticket.user)
    assert claims.exp == int(broker.clock().timestamp()) + min(left, 3_600)


def test_the_ticket_is_the_brokers_and_pinned_to_the_key_the_account_and_the_buckets() -> None:
    broker, pair = Broker(), KeyPair()
    broker.claim(pair.public.claim())
    found = credentials_of(broker, pair)
    now = broker.clock().timestamp()
    claims = KEYS.verify(found.ticket.user, found.ticket.password, now)
    assert isinstance(claims, AwsApiClaims)
    assert (claims.key, claims.account, claims.scan) == (found.access_key_id, ACCOUNT, SCAN)
    assert claims.buckets == ["examined"]
    assert claims.exp <= found.expires


def test_a_second_attempt_goes_by_another_gateway() -> None:
    broker, pair = Broker(), KeyPair()
    broker.change(attempt=2)
    broker.claim(pair.public.claim(), attempt=2)
    assert credentials_of(broker, pair, attempt=2).gateway == "10.43.0.26:3128"


def test_without_gateways_the_credentials_name_none_and_the_ticket_is_made_all_the_same() -> None:
    broker, pair = Broker(gateways=()), KeyPair()
    broker.claim(pair.public.claim())
    found = credentials_of(broker, pair)
    assert found.gateway == ""
    assert isinstance(
        KEYS.verify(found.ticket.user, found.ticket.password, broker.clock().timestamp()), AwsApiClaims
    )


# ---------------------------------------------------------------- once


def test_a_second_claim_is_refused_and_raises_an_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    broker, pair = Broker(), KeyPair()
    broker.claim(pair.public.claim())
    capsys.readouterr()
    # By whatever way: the bucket itself takes no second claim.
    broker.claims.objects.clear()
    broker.claim(KeyPair().public.claim())
    said = capsys.readouterr().out
    assert messages(said) == ["second_claim"]
    assert json.loads(said)["level"] == "ERROR"
    assert len(broker.sessions.given) == 1
    assert credentials_of(broker, pair).account == ACCOUNT
    assert scan_of(broker).state is ScanState.LAUNCHING


@pytest.mark.parametrize("state", [ScanState.RUNNING, ScanState.INGESTING, ScanState.COMPLETED])
def test_a_second_claim_raises_its_alarm_however_far_the_scan_is(
    state: ScanState, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker()
    broker.claim(KeyPair().public.claim())
    broker.change(state=state)
    broker.claims.objects.clear()
    capsys.readouterr()
    broker.claim(KeyPair().public.claim())
    assert messages(capsys.readouterr().out) == ["second_claim"]


def test_a_claim_is_answered_whether_its_event_leaves_the_version_out_or_says_none() -> None:
    """Its bucket keeps no versions."""
    broker, pair = Broker(), KeyPair()
    broker.claims.put(claim_key(SCAN, 1), pair.public.claim())
    announced = {"key": claim_key(SCAN, 1), "version-id": ""}
    broker.redeem.handle({"detail": {"bucket": {"name": "claims"}, "object": announced}})
    assert credentials_of(broker, pair).account == ACCOUNT


def test_an_event_that_comes_again_is_no_second_claim(capsys: pytest.CaptureFixture[str]) -> None:
    broker, pair = Broker(), KeyPair()
    for _ in range(3):
        broker.claim(pair.public.claim())
    assert messages(capsys.readouterr().out) == ["redeemed", *["claim announced again"] * 2]
    assert len(broker.sessions.orders) == 1


def test_of_two_claims_at_once_one_gets_credentials_and_the_other_an_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker, fast, slow = Broker(), KeyPair(), KeyPair()
    key, read = claim_key(SCAN, 1), broker.store.scan

    def overtaken(scan_id: str) -> Scan:
        """The slow one has read the scan when the fast one comes."""
        before = read(scan_id)
        broker.store.scan = read  # type: ignore[method-assign]  # the fake's, once
        broker.claims.objects[key] = fast.public.claim()
        broker.redeem.handle(event(key))
        return before

    broker.claims.objects[key] = slow.public.claim()
    broker.store.scan = overtaken  # type: ignore[method-assign]  # the fake's, once
    broker.redeem.handle(event(key))
    assert messages(capsys.readouterr().out) == ["redeemed", "second_claim"]
    assert len(broker.sessions.given) == 1
    assert credentials_of(broker, fast).account == ACCOUNT


def test_an_envelope_that_somebody_else_wrote_ends_the_attempt() -> None:
    broker = Broker()
    broker.envelopes.objects[handoff_key(SCAN, 1, "envelope.json")] = b"theirs"
    broker.claim(KeyPair().public.claim())
    assert broker.envelopes.objects[handoff_key(SCAN, 1, "envelope.json")] == b"theirs"
    assert_next_attempt(broker, "envelope_unwritten")


# ---------------------------------------------------------------- not for you


@pytest.mark.parametrize(
    "changes",
    [
        {"state": ScanState.REQUESTED},
        {"state": ScanState.INGESTING},
        {"state": ScanState.FAILED},
        {"state": ScanState.CANCELLED},
        {"attempt": 2},
        {"account": None},
        {"deadline": None},
        {"deadline": 1_772_600_767},
    ],
    ids=str,
)
def test_a_scan_that_waits_for_no_claim_is_left_alone(
    changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker()
    broker.change(**changes)
    before = scan_of(broker)
    broker.claim(KeyPair().public.claim())
    assert scan_of(broker) == before
    assert broker.sessions.orders == []
    assert broker.envelopes.objects == {}
    assert messages(capsys.readouterr().out) == ["claim refused"]


def test_a_claim_of_a_later_attempt_is_refused() -> None:
    broker = Broker()
    broker.claim(KeyPair().public.claim(), attempt=2)
    assert broker.sessions.orders == []
    assert scan_of(broker).claim is None


@pytest.mark.parametrize(
    "key",
    [
        "claims/x/1/claim.json",
        f"claims/{SCAN}/3/claim.json",
        f"claims/{SCAN}/01/claim.json",
        f"claims/{SCAN}/1/claim.json/x",
        f"claims/{SCAN}/1/other.json",
        f"../claims/{SCAN}/1/claim.json",
        f"handoff/{SCAN}/1/claim.json",
        f"claims/{SCAN}/1/claim.json\n",
    ],
)
def test_keys_of_nobodys_making_are_refused(key: str) -> None:
    with pytest.raises(RefusedError):
        Broker().redeem.handle(event(key))


@pytest.mark.parametrize("wrong", [{}, {"detail": {}}, None, event(claim_key(SCAN, 1), bucket="other")])
def test_events_of_anything_else_are_refused(wrong: object) -> None:
    with pytest.raises(InputError):
        Broker().redeem.handle(wrong)


def test_who_claims_by_another_scans_address_gets_that_scans_account_and_never_his_own() -> None:
    """He must hold that address; what he gets opens for no other scan, and the robbed task ends loudly."""
    broker, thief, robbed = Broker(), KeyPair(), KeyPair()
    broker.claim(thief.public.claim(), OTHER_SCAN)
    broker.claim(robbed.public.claim(), OTHER_SCAN)
    assert SCAN not in {order.source_identity for order in broker.sessions.orders}
    envelope = broker.envelopes.objects[handoff_key(OTHER_SCAN, 1, "envelope.json")]
    for pair, scan_id in ((thief, SCAN), (robbed, OTHER_SCAN)):
        with pytest.raises(EnvelopeError):
            pair.open(envelope, scan_id=scan_id, attempt=1)
    assert scan_of(broker).claim is None


def test_a_claim_that_is_copied_to_another_scan_opens_nothing_of_that_scan() -> None:
    broker, pair = Broker(), KeyPair()
    broker.claim(pair.public.claim())
    broker.claim(pair.public.claim(), OTHER_SCAN)
    theirs = broker.envelopes.objects[handoff_key(OTHER_SCAN, 1, "envelope.json")]
    with pytest.raises(EnvelopeError):
        pair.open(theirs, scan_id=SCAN, attempt=1)
    assert credentials_of(broker, pair).account == ACCOUNT


def test_the_account_that_scans_is_never_a_target() -> None:
    broker = Broker()
    broker.change(account=AccountTarget(account=SCANNING_ACCOUNT, regions=["eu-west-1"]))
    broker.claim(KeyPair().public.claim())
    assert broker.sessions.orders == []
    assert scan_of(broker).state is ScanState.FAILED


# ---------------------------------------------------------------- failures end clearly


def assert_next_attempt(broker: Broker, failure_class: str) -> None:
    scan = scan_of(broker)
    assert (scan.state, scan.attempt, scan.claim) == (ScanState.REQUESTED, 2, None)
    assert scan.reason
    assert scan.failure is not None
    assert scan.failure.failure_class == failure_class


def test_a_role_that_says_no_fails_the_scan_with_class_reason_and_fix() -> None:
    broker = Broker()
    broker.sessions.errors = [RefusedError("AccessDenied: not you.", fix="Deploy the audit role.")]
    broker.claim(KeyPair().public.claim())
    scan = scan_of(broker)
    assert (scan.state, scan.reason) == (ScanState.FAILED, "AccessDenied: not you.")
    assert scan.failure is not None
    assert (scan.failure.failure_class, scan.failure.fix) == ("credentials_refused", "Deploy the audit role.")
    assert broker.slept == []


def test_throttling_is_waited_out() -> None:
    broker, pair = Broker(), KeyPair()
    broker.sessions.errors = NO_TRY_HELPS[:-1]
    broker.claim(pair.public.claim())
    assert broker.slept == list(WAITS)
    assert credentials_of(broker, pair).account == ACCOUNT


def test_throttling_without_end_costs_the_attempt() -> None:
    broker = Broker()
    broker.sessions.errors = list(NO_TRY_HELPS)
    broker.claim(KeyPair().public.claim())
    assert broker.envelopes.objects == {}
    assert_next_attempt(broker, "credentials_unavailable")


def bad_claims() -> dict[str, bytes]:
    raw = KeyPair().public.raw
    return {
        "empty": b"",
        "too long": b" " * (CLAIM_BYTES + 5),
        "no JSON": b"\xff" * 100,
        "no point": PublicKey(b"\xff" * MLKEM_KEY_BYTES + raw[MLKEM_KEY_BYTES:]).claim(),
    }


@pytest.mark.parametrize("how", bad_claims())
def test_a_claim_without_a_key_costs_the_attempt_and_no_session(how: str) -> None:
    broker = Broker()
    broker.claim(bad_claims()[how])
    assert broker.sessions.orders == []
    assert_next_attempt(broker, "claim_malformed")


@pytest.mark.parametrize("error", [UpstreamError("no secret"), ConfigurationError("no key in it")])
def test_without_a_signing_key_no_session_is_asked_for(error: Exception) -> None:
    def none() -> object:
        raise error

    broker = Broker(signer=none)  # type: ignore[arg-type]  # it only raises
    broker.claim(KeyPair().public.claim())
    assert broker.sessions.orders == []
    assert_next_attempt(broker, "ticket_key")


def test_whoever_names_no_bucket_may_ask_for_the_accounts() -> None:
    broker, pair = Broker(), KeyPair()
    broker.change(account=AccountTarget(account=ACCOUNT, regions=["eu-west-1"]))
    broker.claim(pair.public.claim())
    found = credentials_of(broker, pair).ticket
    claims = KEYS.verify(found.user, found.password, broker.clock().timestamp())
    assert isinstance(claims, AwsApiClaims)
    assert claims.buckets == "account"


def test_more_buckets_than_a_ticket_holds_fail_the_scan() -> None:
    broker = Broker()
    buckets = [f"{number:02}-{'b' * 60}" for number in range(40)]
    broker.change(account=AccountTarget(account=ACCOUNT, regions=["eu-west-1"], buckets=buckets))
    broker.claim(KeyPair().public.claim())
    scan = scan_of(broker)
    assert scan.state is ScanState.FAILED
    assert scan.failure is not None
    assert scan.failure.failure_class == "ticket_refused"
    assert "Name fewer buckets" in scan.failure.fix


def test_a_bucket_that_cannot_be_written_costs_the_attempt() -> None:
    broker = Broker()
    broker.envelopes.errors = [UpstreamError("SlowDown")]
    broker.claim(KeyPair().public.claim())
    assert_next_attempt(broker, "envelope_unwritten")


def test_the_last_attempt_ends_the_scan() -> None:
    broker = Broker()
    broker.change(attempt=2)
    broker.envelopes.errors = [UpstreamError("SlowDown")]
    broker.claim(KeyPair().public.claim(), attempt=2)
    assert scan_of(broker).state is ScanState.FAILED
    assert scan_of(broker).failure is not None


def test_a_good_end_forgets_the_failure_of_the_first_attempt() -> None:
    broker = Broker()
    broker.envelopes.errors = [UpstreamError("SlowDown")]
    broker.claim(KeyPair().public.claim())
    assert_next_attempt(broker, "envelope_unwritten")
    end = finished(scan_of(broker), state=ScanState.COMPLETED, now=broker.clock(), reason=None)
    assert (end.failure, end.reason) == (None, None)


class _Killed(BaseException):
    """The function is gone in the middle of it."""


@pytest.mark.parametrize("where", ["session", "envelope"])
def test_a_death_after_the_mark_gives_nobody_a_second_set(
    where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The event comes again twice, as Lambda sends it; the mark stands, and the attempt ends elsewhere."""
    broker, pair = Broker(), KeyPair()
    (broker.sessions if where == "session" else broker.envelopes).errors = [_Killed()]
    with pytest.raises(_Killed):
        broker.claim(pair.public.claim())
    before = len(broker.sessions.orders)
    for _ in range(2):
        broker.claim(pair.public.claim())
    assert len(broker.sessions.orders) == before
    assert broker.envelopes.objects == {}
    assert scan_of(broker).claim is not None
    assert messages(capsys.readouterr().out) == ["claim announced again"] * 2


def test_a_scan_that_ended_while_sts_was_asked_stays_as_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    broker = Broker()
    broker.sessions.errors = [RefusedError("AccessDenied")]
    given = broker.sessions.assume

    def cancelled(order: object) -> object:
        broker.change(state=ScanState.CANCELLED, revision=99)
        return given(order)  # type: ignore[arg-type]

    broker.sessions.assume = cancelled  # type: ignore[method-assign, assignment]
    broker.claim(KeyPair().public.claim())
    assert scan_of(broker).state is ScanState.CANCELLED
    assert messages(capsys.readouterr().out) == ["not redeemed", "the scan went on meanwhile"]


# ---------------------------------------------------------------- addresses, secrets, settings


def test_the_inlet_is_told_where_to_claim_and_where_to_look_for_this_attempt() -> None:
    lines = claim_addresses(FakeClaims(), FakeHandOff(), scan_id=SCAN, attempt=2).splitlines()
    assert lines == [
        f"GLOVEBOX_CLAIM_URL=https://claims.invalid/claims/{SCAN}/2/claim.json?seconds=900",
        f"GLOVEBOX_ENVELOPE_URL=https://handoff.invalid/handoff/{SCAN}/2/envelope.json?seconds=900",
    ]


def test_no_log_line_shows_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    broker = Broker()
    broker.sessions.errors = [UpstreamError("Throttling")]
    broker.claim(KeyPair().public.claim())
    broker.claim(KeyPair().public.claim(), OTHER_SCAN)
    said = capsys.readouterr().out
    for keys in broker.sessions.given:
        for secret in (keys.secret_access_key, keys.session_token, keys.access_key_id):
            assert secret not in said
            assert secret not in repr(broker.store.all_scans)
    assert "S3CR3T" not in repr(broker.sessions.given)


def test_session_policies_that_aws_would_refuse_or_that_bind_nobody_do_not_start() -> None:
    exact = SESSION_POLICY_CHARACTERS - len("arn:aws:iam::aws:policy/SecurityAudit") - 12
    settings(session_policy="x" * exact + "${Target}")
    with pytest.raises(ConfigurationError):
        settings(session_policy="x" * (exact + 1) + "${Target}")
    with pytest.raises(ConfigurationError):
        settings(session_policy="{}")
    with pytest.raises(ConfigurationError):
        settings(audit_role="arn:aws:iam::111122223333:role/GloveboxAudit")


# ---------------------------------------------------------------- storms

PAIRS = [KeyPair().public.claim() for _ in range(3)]
STEPS = st.one_of(
    st.tuples(
        st.just("claim"), st.sampled_from([SCAN, OTHER_SCAN]), st.integers(1, 2), st.sampled_from(PAIRS)
    ),
    st.tuples(st.just("replace"), st.sampled_from([SCAN]), st.integers(1, 2), st.sampled_from(PAIRS)),
    st.tuples(
        st.just("fail"),
        st.sampled_from([UpstreamError("x"), RefusedError("x"), _Killed()]),
        st.sampled_from(["session", "envelope"]),
        st.none(),
    ),
    st.tuples(st.just("launch"), st.none(), st.none(), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 2_000), st.none(), st.none()),
)


@given(st.lists(STEPS, max_size=25))
@example_settings(max_examples=150, deadline=None)
def test_in_any_storm_an_attempt_gets_at_most_one_set_and_only_its_own_account(
    steps: list[tuple[str, object, object, bytes]],
) -> None:
    broker = Broker()
    for what, first, second, body in steps:
        if what == "wait":
            broker.clock.pass_seconds(first)  # type: ignore[arg-type]  # as drawn
        elif what == "fail":
            place = broker.sessions if second == "session" else broker.envelopes
            place.errors.append(first)  # type: ignore[arg-type]  # as drawn
        elif what == "launch":
            if scan_of(broker).state is ScanState.REQUESTED:
                broker.change(
                    state=ScanState.LAUNCHING, deadline=int(broker.clock().timestamp()) + 900, revision=50
                )
        else:
            if what == "replace":
                broker.claims.objects.pop(claim_key(first, second), None)  # type: ignore[arg-type]
            try:
                broker.claim(body, first, second)  # type: ignore[arg-type]  # as drawn
            except _Killed:
                continue
    for account, scan_id in ((ACCOUNT, SCAN), (OTHER_ACCOUNT, OTHER_SCAN)):
        for keys_of in (1, 2):
            names = [order.name for order in broker.sessions.orders if order.name == f"{scan_id}-{keys_of}"]
            # One mint, tried again only where AWS gave none.
            assert len(names) <= len(WAITS) + 1
        roles = {order.role_arn for order in broker.sessions.orders if order.source_identity == scan_id}
        assert roles <= {f"arn:aws:iam::{account}:role/GloveboxAudit"}
    attempts = {order.name for order in broker.sessions.orders}
    assert len(broker.sessions.given) <= len(attempts)
    assert len(broker.envelopes.objects) <= len(broker.sessions.given)
