"""What `audit_api` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    sites_table: str
    registry_table: str
    publication_bucket: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            sites_table=variables.text("SITES_TABLE"),
            registry_table=variables.text("REGISTRY_TABLE"),
            publication_bucket=variables.text("PUBLICATION_BUCKET"),
        )
