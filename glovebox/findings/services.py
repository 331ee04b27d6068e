"""What the scanners of repositories look for: the services of their findings.

A service is what falls silent as a whole, so each kind of thing that Trivy looks for is one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from glovebox.scans.repositories import RepositoryScanner

TRIVY_VULNERABILITY: Final = "trivy-vulnerability"
TRIVY_MISCONFIGURATION: Final = "trivy-misconfiguration"
TRIVY_SECRET: Final = "trivy-secret"  # noqa: S105 - a service's name
TRIVY_LICENSE: Final = "trivy-license"
TRUFFLEHOG: Final = "trufflehog"
KINGFISHER: Final = "kingfisher"
SERVICES: Final[Mapping[RepositoryScanner, tuple[str, ...]]] = {
    "trivy": (TRIVY_VULNERABILITY, TRIVY_MISCONFIGURATION, TRIVY_SECRET, TRIVY_LICENSE),
    "trufflehog": (TRUFFLEHOG,),
    "kingfisher": (KINGFISHER,),
}


def scanner_of(service: str) -> RepositoryScanner | None:
    """The scanner behind a service; `None` for services of accounts."""
    return next((scanner for scanner, services in SERVICES.items() if service in services), None)
