"""What real scanners report is believed: through the outlet, to findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from containers.outlet.repository.report import report
from glovebox.findings.canaries import planted_files
from glovebox.findings.judging import judge
from glovebox.findings.life import Coverage, Quality
from glovebox.findings.repository_report import RepositoryReport
from glovebox.findings.services import SERVICES
from glovebox.local.sample_repositories import PlantedSecrets
from glovebox.scans.model import OutletOrder, UploadForm
from glovebox.scans.repositories import RepositoryScanner
from tests.native_reports import KEY
from tests.repository_flow import TARGET
from tests.scanners.boxes import Box
from tests.scanners.trees import faults, lay

SCANNERS = [
    pytest.param("trivy", marks=pytest.mark.scanners),
    pytest.param("kingfisher", marks=pytest.mark.scanners),
    pytest.param("trufflehog", marks=pytest.mark.trufflehog),
]


@pytest.mark.parametrize("scanner", SCANNERS)
def test_what_was_planted_is_recognised_and_all_else_is_a_finding(
    tmp_path: Path, trivy_cache: Path, planted: PlantedSecrets, scanner: RepositoryScanner
) -> None:
    box = Box(tmp_path / "box", scanner, trivy_cache)
    lay(box.tree, faults(planted))
    assert box.run() == 0, box.log
    form = UploadForm(url="https://example.com/", fields={})
    order = OutletOrder(scan_id="x", attempt=1, kind=scanner, report=form, manifest=form, fingerprint_key=KEY)
    found = RepositoryReport(TARGET, scanner).read(report(box.out, order, scanner).file.read())
    services = frozenset(SERVICES[scanner])
    verdict = judge(
        found,
        coverage=Coverage(regions=frozenset(), services=services),
        canaries=planted_files(scanner, database=True),
    )
    assert (verdict.quality, verdict.reasons, found.services) == (Quality.COMPLETE, (), services)
    assert {each.service for each in verdict.seen.observations.values()} == services
    assert not any("canary" in place.path for each in found.observations.values() for place in each.places)
    kept = repr((found.observations, found.checks, found.components, found.refusals.examples))
    assert [value for value in planted.values if value in kept] == []
