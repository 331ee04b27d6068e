"""A thousand accounts queued at once on the local cloud: real functions, tables and rules, a fake scanner.

Nothing runs in the tasks: who would be their outlet uploads one canned report and a manifest for each.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.findings.canaries import planted
from glovebox.local.aws import ACCOUNT
from glovebox.local.cloud import LocalCloud, Plan
from glovebox.registry.model import Account
from glovebox.registry.order import AccountsOrder
from glovebox.registry.registry import Registry
from glovebox.scans.model import Manifest, OutletOrder, RunState, ScanState
from tests.e2e.fake_scanners import AT_ONCE, ENGINE, FakeScanners, cloud_without_containers, order_later
from tests.flow import manifest_of
from tests.prowler import item, report

pytestmark = [pytest.mark.e2e, pytest.mark.thousand]

ACCOUNTS = [f"{number:012d}" for number in range(300_000_000_000, 300_000_001_000)]
REGION = "us-east-1"
SECONDS = 1_800.0
"""Eight minutes on two busy cores."""


def told_of(order: OutletOrder) -> tuple[bytes, Manifest]:
    """A report of one finding beside the canary."""
    account = ACCOUNTS[int(order.scan_id[-4:])]
    [canary] = planted(account)
    body = report(
        [
            item(account=account, region=REGION),
            item(canary.resource, check=canary.check, account=account, region=REGION),
        ]
    )
    return body, manifest_of(order.scan_id, order.attempt, body, report_lines=2)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with cloud_without_containers(Plan(folder=tmp_path_factory.mktemp("thousand"), engine=ENGINE)) as running:
        yield running


def order_all(cloud: LocalCloud) -> str:
    """Put the accounts on record and order their scans, as whoever does not wait for an answer; the run."""
    store = DynamoTargets(cloud.aws.client("dynamodb"), cloud.deployment.output("RegistryTable"))
    registry = Registry(store, ACCOUNT)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: registry.add(Account(id=each)), ACCOUNTS))
    order = AccountsOrder(accounts=tuple(ACCOUNTS), requested_by="test")
    return order_later(cloud, msgspec.json.encode(order), SECONDS)


def test_all_end_none_is_lost_and_none_comes_twice(cloud: LocalCloud) -> None:
    scanners = FakeScanners(cloud, told_of)
    with scanners.working():
        run_id = order_all(cloud)
        deadline = time.monotonic() + SECONDS
        while cloud.store.run(run_id).published_at is None:
            assert time.monotonic() < deadline, Counter(s.state for s in cloud.store.scans(run_id))
            assert not scanners.problems
            time.sleep(1)
    scans = cloud.store.scans(run_id)
    assert Counter(scan.state for scan in scans) == {ScanState.COMPLETED: len(ACCOUNTS)}
    assert sorted(scan.account.account for scan in scans if scan.account) == ACCOUNTS
    assert {scan.attempt for scan in scans} == {1}
    assert set(scanners.uploads.values()) == {1}
    run = cloud.store.run(run_id)
    assert (run.state, run.accounts, run.missing_count) == (RunState.COMPLETED, len(ACCOUNTS), 0)
    targets = cloud.findings.targets()
    assert sorted(each.target for each in targets) == [f"aws:{account}" for account in ACCOUNTS]
    assert {json.dumps(each.tally.states) for each in targets} == {json.dumps({"new": {"high": 1}})}
    assert {len(cloud.findings.scans(each.target, limit=2)) for each in targets} == {1}
