"""A thousand accounts queued at once on the local cloud: real functions, tables and rules, a fake scanner.

Nothing runs in the tasks: who would be their outlet uploads one canned report and a manifest for each.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import requests

from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.findings.canaries import planted
from glovebox.local import cloud as building
from glovebox.local.agent import Agent
from glovebox.local.aws import ACCOUNT
from glovebox.local.cloud import CHECKOUT, LocalCloud, Plan, running_cloud
from glovebox.local.engines import ProcessEngine
from glovebox.local.tasks import parse_environment_file
from glovebox.registry.model import Account
from glovebox.registry.order import AccountsOrder
from glovebox.registry.registry import Registry
from glovebox.scans.model import OutletOrder, RunState, ScanState, UploadForm
from tests.flow import manifest_of
from tests.prowler import item, report

pytestmark = [pytest.mark.e2e, pytest.mark.thousand]

ACCOUNTS = [f"{number:012d}" for number in range(300_000_000_000, 300_000_001_000)]
REGION = "us-east-1"
SECONDS = 1_800.0
"""Eight minutes on two busy cores."""
AT_ONCE = 8


class FakeScanners:
    """Ends each task of the cluster by an upload, once."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._ending = threading.Event()
        self._session = requests.Session()
        self.uploads: Counter[str] = Counter()
        self.problems: list[str] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        watcher = threading.Thread(target=self._watch, name="fake-scanners")
        watcher.start()
        try:
            yield
        finally:
            self._ending.set()
            watcher.join()

    def _watch(self) -> None:
        storage, bucket = self._cloud.aws.client("s3"), self._cloud.deployment.output("HandOffBucket")
        seen: set[str] = set()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._ending.wait(0.2):
                pages = storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="handoff/")
                keys = {each["Key"] for page in pages for each in page.get("Contents", [])}
                fresh = {key for key in keys if key.endswith("/outlet.env")} - seen
                seen |= fresh
                for key in sorted(fresh):
                    pool.submit(self._end, key).add_done_callback(self._note)

    def _note(self, done: object) -> None:
        error = done.exception()  # type: ignore[attr-defined]  # a Future
        if error is not None:
            self.problems.append(repr(error))

    def _end(self, key: str) -> None:
        bucket = self._cloud.deployment.output("HandOffBucket")
        body = self._cloud.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        encoded = parse_environment_file(body)["GLOVEBOX_ORDER"]
        order = msgspec.json.decode(base64.b64decode(encoded), type=OutletOrder)
        told = self._report(ACCOUNTS[int(order.scan_id[-4:])])
        manifest = manifest_of(order.scan_id, order.attempt, told, report_lines=2)
        self._upload(order.report, told)
        self._upload(order.manifest, msgspec.json.encode(manifest))
        self.uploads[order.scan_id] += 1

    def _upload(self, form: UploadForm, body: bytes) -> None:
        answer = self._session.post(
            form.url,
            data=form.fields,
            files={"file": ("file", body)},
            verify=str(self._cloud.aws.authority),
            timeout=60,
        )
        assert answer.status_code == 204, answer.text

    @staticmethod
    def _report(account: str) -> bytes:
        [canary] = planted(account)
        return report(
            [
                item(account=account, region=REGION),
                item(canary.resource, check=canary.check, account=account, region=REGION),
            ]
        )


class NoAgent(Agent):
    """Runs no container."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        yield


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "Agent", NoAgent)
        folder: Path = tmp_path_factory.mktemp("thousand")
        with running_cloud(Plan(folder=folder, engine=ProcessEngine(CHECKOUT))) as running:
            yield running


def order_all(cloud: LocalCloud) -> str:
    """Put the accounts on record and order their scans, as whoever does not wait for an answer; the run."""
    store = DynamoTargets(cloud.aws.client("dynamodb"), cloud.deployment.output("RegistryTable"))
    registry = Registry(store, ACCOUNT)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: registry.add(Account(id=each)), ACCOUNTS))
    order = AccountsOrder(accounts=tuple(ACCOUNTS), requested_by="test")
    cloud.aws.client("lambda").invoke(
        FunctionName=cloud.deployment.output("LaunchFunction"),
        InvocationType="Event",
        Payload=msgspec.json.encode(order),
    )
    deadline = time.monotonic() + SECONDS
    while not (runs := cloud.store.open_runs()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return next(iter(runs))


def test_all_end_none_is_lost_and_none_comes_twice(cloud: LocalCloud) -> None:
    scanners = FakeScanners(cloud)
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
