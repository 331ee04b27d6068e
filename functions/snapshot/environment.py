"""What `snapshot` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    snapshots_bucket: str
    registry_table: str
    github_secret: str
    github_host: str
    github_api: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            snapshots_bucket=variables.text("SNAPSHOTS_BUCKET"),
            registry_table=variables.text("REGISTRY_TABLE"),
            github_secret=variables.text("GITHUB_SECRET"),
            github_host=variables.text("GITHUB_HOST"),
            github_api=variables.text("GITHUB_API"),
        )
