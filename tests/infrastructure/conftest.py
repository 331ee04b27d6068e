"""One synthesis for all tests: it takes seconds, and nobody changes it."""

from __future__ import annotations

import pytest

from stacks.settings import Settings
from tests.infrastructure.templates import Assembly, synthesize


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Every stack as deployed with Shodan and an address to tell."""
    settings = Settings(shodan=True, emails=("security@example.org",))
    return synthesize(tmp_path_factory.mktemp("assembly"), settings)
