"""Runs over accounts: which of them may be scanned, how they are cut into scans, what a scan's task is told.

Nothing here opens anything: a task is told where to claim, and who answers that is `redeem`.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from glovebox.errors import RefusedError
from glovebox.registry.model import Account
from glovebox.registry.order import Accounts, Refused
from glovebox.registry.scannable import sort_out
from glovebox.registry.shards import Shards
from glovebox.registry.store import RegistryStore
from glovebox.scans.accounts import AccountScanRequest
from glovebox.scans.brokering import Claims
from glovebox.scans.ports import HandOff
from glovebox.scans.state import Run, Scan
from glovebox.services.attempts import MAX_ATTEMPT_SECONDS, Contents
from glovebox.services.authorities import Authorities
from glovebox.services.claim_addresses import claim_addresses
from glovebox.services.planning import Plan, Shard, noted, within_a_run


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRuns:
    """`glovebox.services.attempts.Kind` for accounts, and their plans."""

    registry: RegistryStore
    scanning_account: str
    shards: Shards
    claims: Claims
    hand_off: HandOff
    authorities: Authorities

    def plan(self, wanted: Accounts) -> Plan:
        """Raises InputError for more than a run holds."""
        on_record = (each.entry for each in self.registry.all(Account))
        accounts, refused = sort_out(wanted, on_record, scanning_account=self.scanning_account)
        shards: list[Shard] = []
        for account in accounts:
            try:
                targets = self.shards.of(account)
            except RefusedError as error:
                refused.append(Refused(account=account.id, reason=str(error)))
            else:
                shards += (Shard(account=target, external_id=account.external_id) for target in targets)
        return Plan(
            kind="account",
            source=("accounts", shards),
            shards=within_a_run(shards, what="accounts", setting="glovebox:regionsPerScan"),
            rejected=noted(refused),
            accounts=len({shard.account.account for shard in shards if shard.account}),
        )

    def seconds(self, scan: Scan) -> int:
        """What its credentials live; a smaller shard ends sooner by itself."""
        return MAX_ATTEMPT_SECONDS

    def contents(self, scan: Scan, run: Run) -> Contents:
        if scan.account is None:
            raise RefusedError(f"Scan {scan.scan_id} is about no account.")
        request = AccountScanRequest(
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            target=scan.account,
            authorities=self.authorities.pem(),
        )
        addresses = claim_addresses(self.claims, self.hand_off, scan_id=scan.scan_id, attempt=scan.attempt)
        return Contents(msgspec.json.encode(request), addresses)
