"""The real scanners of repositories on the local cloud, without a network, and what is left of secrets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from glovebox.findings.model import State
from glovebox.local.cloud import CHECKOUT
from glovebox.local.engines import ProcessEngine
from glovebox.local.functions import invoked
from glovebox.local.github import HostedRepository
from glovebox.local.progress import View
from glovebox.local.repositories import HOST
from glovebox.local.sample_repositories import (
    DOCKERFILE,
    KEY_FILE,
    LOCK_FILE,
    OWNER,
    PLANTED,
    SETTINGS,
    TERRAFORM,
    PlantedSecrets,
    write_samples,
)
from glovebox.local.scanner_tools import Tools
from glovebox.scans.model import ScanState
from glovebox.scans.repositories import RepositoryScanner
from tests.e2e import leaks
from tests.e2e.conftest import Platform
from tests.e2e.test_repositories_flow import found
from tests.scanners.boxes import alone
from tests.scanners.trivy_database import write_cache

pytestmark = pytest.mark.e2e

NUMBER = 4_242
"""From which on the host counts those that are scanned here alone."""
BY_TRIVY = {
    ("CVE-2018-3721", LOCK_FILE),
    ("CVE-2019-10744", LOCK_FILE),
    ("DS-0002", DOCKERFILE),
    ("DS-0013", DOCKERFILE),
    ("DS-0026", DOCKERFILE),
    ("AWS-0065", TERRAFORM),
    ("license:GPL-3.0-only", LOCK_FILE),
    ("secret:trivy:private-key", KEY_FILE),
    ("secret:trivy:aws-access-key-id", SETTINGS),
    ("secret:trivy:aws-secret-access-key", SETTINGS),
    ("secret:trivy:github-pat", SETTINGS),
}
BY_KINGFISHER = {
    ("secret:kingfisher:betterleaks.private-key", KEY_FILE),
    ("secret:kingfisher:betterleaks.aws-access-token", SETTINGS),
    ("secret:kingfisher:betterleaks.github-pat", SETTINGS),
}
BY_TRUFFLEHOG = {
    ("secret:trufflehog:PrivateKey", KEY_FILE),
    ("secret:trufflehog:AWS", SETTINGS),
    ("secret:trufflehog:Github", SETTINGS),
}


class Offline(Tools):
    """Each of them without a network."""

    def command(self, scanner: str, *, python: str, code: Sequence[str], place: str) -> list[str]:
        made = super().command(scanner, python=python, code=code, place=place)
        if scanner not in self.real:
            return made
        # By its whole name: our scripts give scanners no PATH.
        unshare, *options = alone()
        return [shutil.which(unshare) or unshare, *options, *made]


@dataclass(frozen=True)
class Scanned:
    repository: str
    planted: PlantedSecrets
    view: View


@contextmanager
def scanned(platform: Platform, folder: Path, *scanners: RepositoryScanner) -> Iterator[Scanned]:
    """A repository of its own with the planted faults, once by the real scanners."""
    cloud, name = platform.cloud, f"{OWNER}/by-{'-and-'.join(scanners)}"
    _, planted = write_samples(folder / "samples")
    tools = Offline(frozenset(scanners), write_cache(folder / "cache"))
    sync = cloud.deployment.output("SnapshotFunction")
    engine = cloud.agent.engine
    cloud.github.repositories[name] = HostedRepository(
        number=NUMBER + len(cloud.github.repositories), files=folder / "samples" / PLANTED
    )
    cloud.agent.engine = ProcessEngine(CHECKOUT, tools=tools)
    try:
        invoked(cloud.aws, sync, b'{"sync": true}', what="snapshot")
        cloud.registry.change_repository(f"{HOST}/{name}", scanners=scanners)
        answer = cloud.scan_repositories(f"{HOST}/{name}")
        yield Scanned(f"{HOST}/{name}", planted, platform.completed(answer.run_id))
    finally:
        cloud.agent.engine = engine
        del cloud.github.repositories[name]
        cloud.registry.remove_repository(f"{HOST}/{name}")


@pytest.fixture(scope="module")
def by_two(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    with scanned(platform, tmp_path_factory.mktemp("real"), "trivy", "kingfisher") as made:
        yield made


@pytest.fixture(scope="module")
def by_trufflehog(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    with scanned(platform, tmp_path_factory.mktemp("trufflehog"), "trufflehog") as made:
        yield made


def completed(made: Scanned) -> bool:
    return {(scan.state, scan.attempt) for scan in made.view.scans} == {(ScanState.COMPLETED, 1)}


def nowhere(platform: Platform, made: Scanned) -> None:
    """Fails where a planted secret is anywhere but in the snapshot."""
    snapshot = made.view.scans[0].snapshot
    assert snapshot is not None
    platform.cleared()
    held = leaks.found_in(platform.cloud.aws, platform.folder, made.planted.values)
    assert set(held) == {f"s3://{platform.cloud.deployment.output('SnapshotsBucket')}/{snapshot.key}"}


@pytest.mark.scanners
def test_trivy_and_kingfisher_find_what_is_planted(platform: Platform, by_two: Scanned) -> None:
    assert completed(by_two), by_two.view.scans
    assert found(platform.cloud, by_two.repository) == dict.fromkeys(BY_TRIVY | BY_KINGFISHER, State.NEW)


@pytest.mark.scanners
def test_after_trivy_and_kingfisher_no_secret_is_left(platform: Platform, by_two: Scanned) -> None:
    nowhere(platform, by_two)


@pytest.mark.trufflehog
def test_trufflehog_finds_what_is_planted(platform: Platform, by_trufflehog: Scanned) -> None:
    assert completed(by_trufflehog), by_trufflehog.view.scans
    assert found(platform.cloud, by_trufflehog.repository) == dict.fromkeys(BY_TRUFFLEHOG, State.NEW)


@pytest.mark.trufflehog
def test_after_trufflehog_no_secret_is_left(platform: Platform, by_trufflehog: Scanned) -> None:
    nowhere(platform, by_trufflehog)
