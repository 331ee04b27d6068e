"""Many repositories queued at once on the local cloud: real functions, tables, rules and snapshots.

Nothing runs in the tasks: who would be their outlet uploads one canned report and a manifest for each.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from glovebox.local.cloud import LocalCloud, Plan
from glovebox.local.functions import set_variables
from glovebox.local.repositories import HOST, Repositories
from glovebox.local.sample_repositories import write_tree
from glovebox.registry.order import RepositoriesOrder
from glovebox.scans.model import Manifest, OutletOrder, RunState, ScanState
from glovebox.scans.repositories import target_of
from tests.e2e.fake_scanners import ENGINE, FakeScanners, cloud_without_containers, order_later
from tests.flow import manifest_of
from tests.repository_flow import encoded, planted_lines, secret

pytestmark = [pytest.mark.e2e, pytest.mark.thousand]

REPOSITORIES = 35
"""What `launch` does not begin in its 20 seconds `watch` begins at its next tick.  All 500 are queued in
`tests/unit/test_many_repositories.py`, with a clock of its own."""
SECONDS = 900.0


def told_of(order: OutletOrder) -> tuple[bytes, Manifest]:
    """A report of one secret beside the canary."""
    lines = [*planted_lines("trufflehog"), secret()]
    body = encoded(lines)
    return body, manifest_of(order.scan_id, order.attempt, body, report_lines=len(lines))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder: Path = tmp_path_factory.mktemp("many")
    write_tree(folder / "small", {"README.md": "# Small\n"})
    served = Repositories({f"acme/repository-{number}": folder / "small" for number in range(REPOSITORIES)})
    plan = Plan(folder=folder / "cloud", engine=ENGINE, repositories=served)
    with cloud_without_containers(plan) as running:
        # One scanner: what is tried is the queue, and not the scanners.
        launch = running.deployment.output("LaunchFunction")
        set_variables(running.aws, launch, {"REPOSITORY_SCANNERS": "trufflehog"})
        yield running


def test_all_end_none_is_lost_and_none_comes_twice(cloud: LocalCloud) -> None:
    scanners = FakeScanners(cloud, told_of)
    with scanners.working():
        order = RepositoriesOrder(repositories="all", requested_by="test")
        run_id = order_later(cloud, msgspec.json.encode(order), SECONDS)
        deadline = time.monotonic() + SECONDS
        while cloud.store.run(run_id).published_at is None:
            assert time.monotonic() < deadline, Counter(each.state for each in cloud.store.scans(run_id))
            assert not scanners.problems
            time.sleep(1)
    scans = cloud.store.scans(run_id)
    assert Counter(scan.state for scan in scans) == {ScanState.COMPLETED: REPOSITORIES}
    asked = sorted(scan.repository.repository for scan in scans if scan.repository)
    assert asked == sorted(f"{HOST}/acme/repository-{number}" for number in range(REPOSITORIES))
    assert {scan.attempt for scan in scans} == {1}
    assert set(scanners.uploads.values()) == {1}
    run = cloud.store.run(run_id)
    assert (run.state, run.repositories, run.missing_count) == (RunState.COMPLETED, REPOSITORIES, 0)
    assert sorted(each.target for each in cloud.findings.targets()) == sorted(map(target_of, asked))
