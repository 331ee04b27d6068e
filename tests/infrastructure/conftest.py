"""One synthesis for all tests: it takes seconds, and nobody changes it."""

from __future__ import annotations

import pytest

from stacks.settings import Settings
from tests.infrastructure.templates import DIGESTS, EXTERNAL, TARGETS, Assembly, synthesize


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Every stack as deployed with Shodan and an address to tell."""
    settings = Settings(shodan=True, emails=("security@example.org",))
    return synthesize(tmp_path_factory.mktemp("assembly"), settings)


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Two zones, every image promoted, and two target accounts."""
    settings = Settings(zones=2, images=DIGESTS, targets=TARGETS, external_id=EXTERNAL)
    return synthesize(tmp_path_factory.mktemp("promoted"), settings)
