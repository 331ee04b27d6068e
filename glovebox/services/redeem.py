"""From a task's claim to its credentials, once: mark, assume, pin, seal, hand over.

The mark comes first, in one conditional write to the scan, and is never taken back while the attempt lasts.
So whatever happens afterwards, nobody gets a second set: what fails here ends the attempt with its reason,
and the next attempt makes a task, a key and a claim of its own.  Should this function itself die between mark
and envelope, its event comes again and finds the mark; it leaves things alone, the inlet gives up waiting
after minutes and ends its task, and `watch` ends the attempt (docs/envelopes.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from glovebox import log
from glovebox.envelopes.credentials import Credentials, encode
from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.envelopes.sealing import PublicKey, claim_digest, seal
from glovebox.errors import (
    ConfigurationError,
    ConflictError,
    GloveboxError,
    NotFoundError,
    RefusedError,
    UpstreamError,
)
from glovebox.scans.accounts import CLAIM_FILE, ENVELOPE_FILE, AccountTarget
from glovebox.scans.brokering import Claims, Envelopes, SessionKeys, SessionOrder, Sessions
from glovebox.scans.changing import change
from glovebox.scans.model import MAX_ATTEMPTS, SCAN_ID, handoff_key
from glovebox.scans.ports import Clock, ScanStore
from glovebox.scans.state import ClaimedError, Scan, ScanFailure, claimed, unredeemed
from glovebox.services.events import created_object
from glovebox.tickets.claims import MAX_ACCOUNT_LIFETIME, AwsApiClaims
from glovebox.tickets.proxy import ProxyTicket
from glovebox.tickets.signer import Signer

MIN_SESSION_SECONDS, MAX_SESSION_SECONDS = 900, 3_600
"""The least that AWS gives, and the most that a role assumed by a role gets (role chaining)."""
SESSION_POLICY_CHARACTERS = 2_048
"""Of a session policy and the managed policies' ARNs beside it (AssumeRole, `Policy`)."""
TARGET = "${Target}"
"""Stands for the account in `audit_role` and `session_policy`."""
WAITS = (1.0, 2.0, 4.0)
"""Seconds between tries at AWS, each of which tries five times by itself."""

_KEY = re.compile(
    rf"claims/(?P<scan>{SCAN_ID.pattern})/(?P<attempt>[1-{MAX_ATTEMPTS}])/{re.escape(CLAIM_FILE)}"
)


class UnredeemedError(GloveboxError):
    """A claimed attempt gets no credentials; `again` where another attempt may fare better."""

    def __init__(self, failure_class: str, cause: GloveboxError, *, again: bool) -> None:
        super().__init__(cause.reason, fix=cause.fix)
        self.failure_class = failure_class
        self.again = again


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemSettings:
    """Raises ConfigurationError where sessions could not be asked for, or would not be bound to a target."""

    scanning_account: str
    """The one account that is never audited."""
    audit_role: str
    """The audit role's ARN, with `${Target}` for the account."""
    external_id: str
    """Of accounts that have none of their own."""
    session_policy: str
    """JSON, with `${Target}` for the account."""
    managed_policies: tuple[str, ...]
    gateways: tuple[str, ...]
    """`address:port` of each zone's listener for AWS; none where tasks go straight out."""

    def __post_init__(self) -> None:
        for name, text in (("audit role", self.audit_role), ("session policy", self.session_policy)):
            if TARGET not in text:
                raise ConfigurationError(
                    f"The {name} does not name its target.", fix=f"Write {TARGET} there."
                )
        size = len(self.policy("0" * 12)) + sum(map(len, self.managed_policies))
        if size > SESSION_POLICY_CHARACTERS:
            raise ConfigurationError(
                f"The session policies have {size:,} characters; AWS takes {SESSION_POLICY_CHARACTERS:,}.",
                fix="Shorten policies/audit_session_policy.json.",
            )

    def role(self, account: str) -> str:
        return self.audit_role.replace(TARGET, account)

    def policy(self, account: str) -> str:
        return self.session_policy.replace(TARGET, account)

    def gateway(self, scan: Scan) -> str:
        """Shards take turns, and a second attempt goes where the first one did not; empty for none."""
        if not self.gateways:
            return ""
        return self.gateways[(int(scan.scan_id[-4:]) + scan.attempt - 1) % len(self.gateways)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeem:
    store: ScanStore
    claims: Claims
    envelopes: Envelopes
    sessions: Sessions
    signer: Callable[[], Signer]
    """The broker's present key.  Raises UpstreamError, or ConfigurationError for a secret that holds none."""
    settings: RedeemSettings
    bucket: str
    clock: Clock
    sleep: Callable[[float], None]

    def handle(self, event: object) -> None:
        """Answer the claim that the event announces.

        Raises InputError for an event that is not one of the bucket, RefusedError for a key of nobody's
        making.  A claim that is refused changes nothing; an attempt that gets no credentials ends.
        """
        key = created_object(event, self.bucket).key
        match = _KEY.fullmatch(key)
        if match is None:
            raise RefusedError(f"The key {key[:120]!r} is none that a claim is put to.")
        scan_id, attempt = match["scan"], int(match["attempt"])
        try:
            claim = self.claims.read(key, CLAIM_BYTES)
            scan = self._marked(scan_id, attempt, claim)
        except (ClaimedError, ConflictError, NotFoundError) as refusal:
            _say_refused(scan_id, attempt, refusal)
            return
        try:
            self._hand_over(scan, claim)
        except UnredeemedError as failure:
            self._end(scan, failure)
        else:
            log.info("redeemed", scanId=scan_id, attempt=attempt)

    def _marked(self, scan_id: str, attempt: int, claim: bytes) -> Scan:
        transition = partial(claimed, attempt=attempt, claim=claim_digest(claim), now=self.clock())
        return change(self.store, scan_id, transition)

    def _hand_over(self, scan: Scan, claim: bytes) -> None:
        """Everything that may fail without AWS comes before AWS is asked: what is minted should be used."""
        with _failing("claim_malformed"):
            public_key = PublicKey.of_claim(claim)
        with _failing("ticket_key"):
            signer = self.signer()
        with _failing("target_refused", again=False):
            target = self._target(scan)
        keys = self._session(scan, target)
        with _failing("ticket_refused", again=False):
            message = encode(self._credentials(scan, target, keys, signer))
        with _failing("envelope_refused"):
            envelope = seal(public_key, message, scan_id=scan.scan_id, attempt=scan.attempt)
        with _failing("envelope_unwritten"):
            self.envelopes.put_once(handoff_key(scan.scan_id, scan.attempt, ENVELOPE_FILE), envelope)

    def _target(self, scan: Scan) -> AccountTarget:
        if scan.account is None or scan.account.account == self.settings.scanning_account:
            raise RefusedError(
                "The account that scans is never scanned itself.", fix="Take it out of the targets."
            )
        return scan.account

    def _session(self, scan: Scan, target: AccountTarget) -> SessionKeys:
        left = (scan.deadline or 0) - self.clock().timestamp()
        order = SessionOrder(
            role_arn=self.settings.role(target.account),
            name=f"{scan.scan_id}-{scan.attempt}",
            source_identity=scan.scan_id,
            external_id=scan.external_id or self.settings.external_id,
            seconds=max(MIN_SESSION_SECONDS, min(MAX_SESSION_SECONDS, math.ceil(left))),
            policy=self.settings.policy(target.account),
            managed_policies=self.settings.managed_policies,
        )
        for wait in WAITS:
            try:
                return self._assume(order)
            except UpstreamError as error:
                log.warning("session not given, waits", scanId=scan.scan_id, reason=error.reason)
            self.sleep(wait)
        with _failing("credentials_unavailable"):
            return self._assume(order)

    def _assume(self, order: SessionOrder) -> SessionKeys:
        try:
            return self.sessions.assume(order)
        except RefusedError as error:
            raise UnredeemedError("credentials_refused", error, again=False) from error

    def _credentials(
        self, scan: Scan, target: AccountTarget, keys: SessionKeys, signer: Signer
    ) -> Credentials:
        return Credentials(
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
            session_token=keys.session_token,
            expires=keys.expires,
            account=target.account,
            regions=target.regions,
            ticket=self._ticket(scan, target, keys, signer),
            gateway=self.settings.gateway(scan),
        )

    def _ticket(self, scan: Scan, target: AccountTarget, keys: SessionKeys, signer: Signer) -> ProxyTicket:
        now = int(self.clock().timestamp())
        return signer.sign(
            AwsApiClaims(
                scan=scan.scan_id,
                iat=now,
                nbf=now,
                # Whatever ends first: the attempt, the keys, or what a ticket may say.
                exp=min(scan.deadline or 0, keys.expires, now + MAX_ACCOUNT_LIFETIME),
                key=keys.access_key_id,
                account=target.account,
                buckets=target.buckets,
            )
        )

    def _end(self, scan: Scan, error: UnredeemedError) -> None:
        log.error(
            "not redeemed",
            scanId=scan.scan_id,
            attempt=scan.attempt,
            failureClass=error.failure_class,
            reason=error.reason,
        )
        transition = partial(
            unredeemed,
            attempt=scan.attempt,
            now=self.clock(),
            reason=error.reason,
            failure=ScanFailure(failure_class=error.failure_class, fix=error.fix),
            again=error.again,
        )
        try:
            change(self.store, scan.scan_id, transition)
        except ConflictError as conflict:
            log.info("the scan went on meanwhile", scanId=scan.scan_id, reason=conflict.reason)


@contextmanager
def _failing(failure_class: str, *, again: bool = True) -> Iterator[None]:
    try:
        yield
    except GloveboxError as error:
        raise UnredeemedError(failure_class, error, again=again) from error


def _say_refused(scan_id: str, attempt: int, refusal: GloveboxError) -> None:
    if isinstance(refusal, ClaimedError) and not refusal.repeated:
        # An alarm counts these: an attempt has one task, and that claims once.
        log.error("second_claim", scanId=scan_id, attempt=attempt)
    elif isinstance(refusal, ClaimedError):
        log.info("claim announced again", scanId=scan_id, attempt=attempt)
    else:
        log.warning("claim refused", scanId=scan_id, attempt=attempt, reason=refusal.reason)
