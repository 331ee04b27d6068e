from __future__ import annotations

from pathlib import Path

import pytest

from glovebox.local.sample_repositories import PlantedSecrets
from tests.scanners.trivy_database import write_cache


@pytest.fixture(scope="session")
def trivy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for the real Trivy, with a database of this hour."""
    return write_cache(tmp_path_factory.mktemp("trivy-cache"))


@pytest.fixture(scope="session")
def planted() -> PlantedSecrets:
    return PlantedSecrets.made()
